"""A sparse copy keeps whole objects, calls everything else unannotated, and alters nothing that judges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.check.test_check import healthy, round_objects, tree, write
from tests.unit.scenes import planes
from toolkit.check import check
from toolkit.check.sparse import Sparse
from toolkit.check.sparsify import sparsify
from toolkit.cli import main
from toolkit.errors import InputError, UsageError
from toolkit.io import open_dataset

SPLITS = {"train": ["i0", "i1", "i2"], "val": ["i3"], "test": ["i4"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data", healthy(5), SPLITS)


def test_objects_that_stay_are_whole_and_everything_else_is_unannotated(data: Path, tmp_path: Path) -> None:
    before = tree(data)
    done = sparsify(str(data), Sparse(0.2, "random", 3), tmp_path / "sparse")
    assert tree(data) == before
    assert done["split"] == "train"
    assert done["images"] == 3
    kept = 0
    for k, name in enumerate(SPLITS["train"]):
        truth = open_dataset(f"{tmp_path / 'sparse'}:train").items[k]
        layers = open_dataset(str(tmp_path / "sparse")).truth(truth).layers[0]
        dense = round_objects(k).astype(np.int32)
        ids = np.unique(layers[layers > 0])
        kept += len(ids)
        assert len(ids) == max(1, round(0.2 * dense.max())), name
        assert np.array_equal(layers, np.where(np.isin(dense, ids), dense, -1))
    assert done["annotated"] == kept


def test_what_judges_stays_fully_annotated_and_the_copy_is_a_data_set(data: Path, tmp_path: Path) -> None:
    sparsify(str(data), Sparse(0.2), tmp_path / "sparse")
    found = open_dataset(str(tmp_path / "sparse"))
    assert found.splits == ("train", "val", "test")
    for split in ("val", "test"):
        for old, new in zip(
            open_dataset(f"{data}:{split}").items, open_dataset(f"{found.root}:{split}").items, strict=True
        ):
            assert np.array_equal(open_dataset(str(data)).truth(old).layers, found.truth(new).layers)
            assert old.image.read_bytes() == new.image.read_bytes()
    assert not check(str(found.root)).errors
    record = json.loads((found.root / "sparse.json").read_text())
    assert (record["fraction"], record["order"], record["seed"]) == (0.2, "random", 0)


def test_a_named_split_is_copied_alone_and_made_sparse(data: Path, tmp_path: Path) -> None:
    done = sparsify(f"{data}:val", Sparse(0.5), tmp_path / "sparse")
    found = open_dataset(str(tmp_path / "sparse"))
    assert (done["split"], found.splits, len(found)) == ("val", ("val",), 1)
    assert (found.truth(found.items[0]).layers < 0).any()


def test_overlapping_objects_become_layers(tmp_path: Path) -> None:
    stack = planes(0, (60, 70), 6).astype(np.uint8)
    root = write(tmp_path / "data", {"a": (np.zeros((60, 70), np.uint8), None)})
    tifffile.imwrite(root / "masks" / "a.tif", stack)
    (root / "meta.json").write_text(json.dumps({"axes": "YX", "masks": "QYX"}))
    sparsify(str(root), Sparse(0.5), tmp_path / "sparse")
    found = open_dataset(str(tmp_path / "sparse"))
    truth = found.truth(found.items[0])
    assert found.mask_axes == "LYX"
    assert len(truth.ids) == round(0.5 * len(stack))
    wanted = {plane.tobytes() for plane in stack > 0}
    for k in truth.ids:
        assert (truth.layers == k).any(0).tobytes() in wanted


images = st.lists(st.lists(st.integers(1, 400), max_size=12), min_size=1, max_size=6)


@given(images=images, fraction=st.floats(0.01, 1), seed=st.integers(0, 9))
def test_the_share_of_each_image_is_kept_and_the_draw_is_that_of_the_seed(
    images: list[list[int]], fraction: float, seed: int
) -> None:
    objects = [(np.arange(1, len(s) + 1) * 3, np.array(s, np.int64)) for s in images]
    how = Sparse(fraction, "random", seed)
    found = list(how.choose(objects))
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in how.choose(objects)]
    for (ids, _), kept in zip(objects, found, strict=True):
        assert len(kept) == (max(1, round(fraction * len(ids))) if len(ids) else 0)
        assert np.isin(kept, ids).all()
        assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize("order", ["small", "large"])
def test_small_and_large_objects_have_as_many_voxels_as_random_ones(order: str) -> None:
    rng = np.random.default_rng(0)
    objects = [(np.arange(1, 41), rng.lognormal(4, 0.8, 40).astype(np.int64) + 1) for _ in range(30)]
    median = np.median(np.concatenate([sizes for _, sizes in objects]))

    def kept(how: Sparse) -> list[np.ndarray]:
        return [sizes[ids - 1] for (_, sizes), ids in zip(objects, how.choose(objects), strict=True)]

    chosen, random = np.concatenate(kept(Sparse(0.1, order, 5))), np.concatenate(kept(Sparse(0.1, "random", 5)))
    assert (chosen <= median).all() if order == "small" else (chosen > median).all()
    assert chosen.sum() == pytest.approx(random.sum(), rel=0.02)


def test_the_text_says_all_or_some() -> None:
    assert Sparse.parse("fraction=.25,order=small,seed=7") == Sparse(0.25, "small", 7)
    assert Sparse.parse(" seed=2 ") == Sparse(0.1, "random", 2)
    assert Sparse.parse("") == Sparse()


@pytest.mark.parametrize(("text", "said"), [
    ("fractoin=.1", "did you mean 'fraction'"), ("fraction", "NAME=VALUE"), ("seed=1,seed=2", "each once"),
    ("fraction=0", "above 0"), ("fraction=1.5", "at most at 1"), ("fraction=few", "no number"),
    ("order=smal", "did you mean 'small'"), ("seed=-1", "from 0 on"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Sparse.parse(text)


def test_nothing_is_written_over_and_an_image_without_mask_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="the output exists"):
        sparsify(str(data), Sparse(), tmp_path / "there")
    with pytest.raises(UsageError, match="inside the data set"):
        sparsify(str(data), Sparse(), data / "sparse")
    bare = tmp_path / "bare"
    (bare / "images").mkdir(parents=True)
    tifffile.imwrite(bare / "images" / "a.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="an image has no mask"):
        sparsify(str(bare), Sparse(), tmp_path / "sparse")
    assert not (tmp_path / "sparse").exists()


def test_the_command_says_what_stayed_and_wants_one_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "sparse")
    assert main(["check", str(data), "--sparsify", "fraction=.2,seed=3", "-o", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "train"
    assert main(["check", str(data), "--sparsify", "fraction=.2", "-o", f"{out}-2"]) == 0
    assert "objects annotated" in capsys.readouterr().out
    for wrong in (["--sparsify", ""], ["-o", out], ["--sparsify", "", "-o", f"{out}-3", "--fix", f"{out}-4"]):
        assert main(["check", str(data), *wrong]) == 2
    assert main(["check", str(data), "--sparsify", "", "-o", out]) == 2, "nothing is written over"
