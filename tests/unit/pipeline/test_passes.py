"""The network runs once for each window, whatever blocks, passes, halo and workers; what is no piece is a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import tifffile
import torch

from tests.models import bright, load, see_through
from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.builtin.networks.unet import UNet
from toolkit.errors import PluginError, StorageError, UsageError
from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline import pieces as module
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.heard import listening
from toolkit.pipeline.modules import TorchEngine
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.session import Session
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.workers import processes
from toolkit.plugins import seams
from toolkit.plugins.passes import Pass
from toolkit.plugins.specs import PostProcessor
from toolkit.testing.blockwise import pieces, prediction
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Box, Lattice, blocks
from toolkit.values.voxels import Voxels


@dataclass(frozen=True, eq=False)
class Total:
    value: int

    def window(self, box: Box) -> Total:
        return self


class ThreePasses(PostProcessor):
    """Counts bright voxels in a halo, three times; then everything bright is one object."""

    kind: Literal["three-passes"] = "three-passes"
    exact: ClassVar[bool] = True

    def halo(self, ndim: int) -> tuple[int, ...]:
        return (9,) * ndim

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        return Instances.from_labels((prediction["foreground"][0] > 0.5).astype(np.uint8))

    def passes(self) -> tuple[Pass, ...]:
        def count(piece: Prediction, state: Total | None, backend: Backend) -> Total:
            return Total(int((piece.crop(piece.core)["foreground"] > 0.5).sum()) + (state.value if state else 0))

        def add(parts: Iterator[Total], state: Total | None, backend: Backend) -> Total:
            return Total(sum(part.value for part in parts))

        last = super().passes()[0]

        def found(piece: Prediction, state: Total, backend: Backend) -> Any:
            assert state.value > 0
            return last.local(piece, None, backend)

        return Pass(count, add, Total), Pass(count, add, Total), Pass(found, last.reduce, last.fragment)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets a byte for every window that an engine is given, in any process."""
    path = tmp_path / "ran"
    path.touch()
    once = TorchEngine.__call__

    def counting(self: TorchEngine, voxels: np.ndarray) -> Any:
        with path.open("ab") as stream:
            stream.write(b"w" * len(voxels))
        return once(self, voxels)

    monkeypatch.setattr(TorchEngine, "__call__", counting)
    return path


@pytest.mark.parametrize("block", [64, 256])
def test_every_window_of_ppp_is_predicted_once_whatever_the_blocks(ran: Path, block: int) -> None:
    session = Session("ppp", "cpu")
    recipe = session.model.recipe.changed(
        ["tiling.window=[64,64]", "tiling.overlap=16"], session.catalogue, session.model.owner
    )
    session = Session(session.model.with_recipe(recipe), "cpu", session.catalogue)
    image = Image.from_array(bright((256, 256), count=60))
    kept = session.pieces(session.prepare(image))
    one = session.objects(kept, recipe.postprocess, block)
    assert len(list(session.lattice(session.prepare(image)).windows())) == 25 == ran.stat().st_size
    assert one == session.objects(kept, recipe.postprocess)
    assert ran.stat().st_size == 25, "objects of kept pieces need no network"


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("block", [None, 16])
def test_three_passes_with_a_halo_predict_each_window_once(
    tmp_path: Path, ran: Path, ndim: int, block: int | None
) -> None:
    model = load(see_through(tmp_path / "m", ndim, tiling={"window": [16] * ndim, "overlap": 4}))
    session = Session(model, "cpu")
    image = Image.from_array(bright((60, 50) if ndim == 2 else (20, 30, 25)))
    session.model.recipe.__dict__["postprocess"] = ThreePasses()
    kept = session.pieces(session.prepare(image))
    windows = len(kept.windows)
    found = session.objects(kept, ThreePasses(), block)
    assert windows == ran.stat().st_size > 4
    assert len(found) >= 1


class Again(ThreePasses):
    """Goes through fragments two times."""

    kind: Literal["again"] = "again"  # type: ignore[assignment]

    def passes(self) -> tuple[Pass, ...]:
        def twice(parts: Iterable[Total], state: Total | None, backend: Backend) -> Total:
            first = [part.value for part in parts]
            assert first == [part.value for part in parts] != []
            return Total(sum(first))

        one, two, last = super().passes()
        return replace(one, reduce=twice), replace(two, reduce=twice), last


@pytest.mark.parametrize("shelved", [False, True])
def test_fragments_are_there_as_often_as_a_reduce_asks_and_are_told_as_they_are_made(
    tmp_path: Path, shelved: bool
) -> None:
    session = Session(load(see_through(tmp_path / "m", 2, tiling={"window": [16, 16], "overlap": 4})), "cpu")
    session.model.recipe.__dict__["postprocess"] = Again()
    shelf = Shelf(tmp_path / "shelf", "a") if shelved else None
    kept = session.pieces(session.prepare(Image.from_array(bright((60, 50)))), shelf=shelf)
    work = blocks(kept.lattice, 16)
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *what: heard.append(what)):
        found = sweep(Again(), kept, work, shelf=shelf)
    assert len(found) >= 1
    for number in (1, 2, 3):
        told = [(done, total) for stage, done, total in heard if stage == f"pass {number} of 3"]
        assert told[: len(work)] == [(n + 1, len(work)) for n in range(len(work))]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_predict_each_window_once(tmp_path: Path, workers: int) -> None:
    array, path, folder = bright((100, 90)), tmp_path / "a.tif", tmp_path / "pieces"
    tifffile.imwrite(path, array)
    model, where = Model.of(load(see_through(tmp_path / "m")), Backend()), Source(str(path))
    session = model.session()
    seen = session.prepare(where.read())
    with processes(workers, partial(Bench.of, model)) as run:
        remote = partial(pieces_elsewhere, where, seen.scale, str(folder))
        shelf = Shelf(folder, "a")
        kept = session.pieces(seen, shelf=shelf, run=run, remote=remote)
        assert len(list(folder.glob("*.piece"))) == len(kept.windows) > 6
        kept.save()
        found = sweep(
            session.model.recipe.postprocess, kept, blocks(kept.lattice, 32), shelf=shelf, run=run,
            remote=partial(block_elsewhere, str(folder)),
        )  # fmt: skip
    assert found.whole() == session.objects(session.pieces(seen))
    # A window that another process predicted again would have another file.
    again = Pieces.open(folder, Backend(), session.model.recipe.postprocess)
    assert session.objects(again) == found.whole()


class Bad(ThreePasses):
    kind: Literal["bad"] = "bad"  # type: ignore[assignment]
    what: str = ""

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Any:
        whole = prediction.dense()
        cut = whole.crop(whole.core)
        return {
            "nothing": None,
            "the window": whole,
            "no heads": replace(cut, heads={}),
            "other shapes": replace(cut, heads={"foreground": np.zeros((1, 2, 2), np.float32)}),
            "labels": np.zeros(cut.core.shape, int),
            "values": Voxels.of(np.ones(cut.core.shape, bool), {"a": np.zeros(3)}, cut.core, cut.shape),
        }[self.what]


@pytest.mark.parametrize("what", ["nothing", "the window", "no heads", "other shapes", "labels", "values"])
def test_what_is_no_piece_names_plugin_class_and_cure(what: str) -> None:
    heads = {"foreground": np.random.default_rng(0).random((1, 20, 20)).astype(np.float32)}
    with pytest.raises(PluginError, match=r"bad: what it keeps is no piece of its window: .*Bad\.keep; keep "):
        pieces(Bad(what=what), prediction(heads), Lattice((20, 20), (12, 12), (4, 4)))


class Labels(ThreePasses):
    kind: Literal["labels"] = "labels"  # type: ignore[assignment]

    def passes(self) -> tuple[Pass, ...]:
        def local(piece: Prediction, state: None, backend: Backend) -> Total:
            return Total(1)

        return (Pass(local, lambda parts, state, backend: np.ones((20, 20), int), Total),)


def test_labels_at_the_end_are_a_sentence_that_says_what_to_do() -> None:
    heads = {"foreground": np.ones((1, 20, 20), np.float32)}
    kept = pieces(Labels(), prediction(heads))
    with pytest.raises(PluginError, match=r"labels: it gives no Instances of shape \(20, 20\), but an array, int64"):
        sweep(Labels(), kept, blocks(kept.lattice, None))


def stored(folder: Path) -> tuple[Session, Pieces]:
    session = Session(load(see_through(folder / "m")), "cpu")
    kept = session.pieces(session.prepare(Image.from_array(bright((60, 50)))), folder=folder / "kept", room=0)
    assert list((folder / "kept").glob("*.piece"))
    return session, kept


def test_windows_that_show_nothing_are_stored_like_the_others(tmp_path: Path) -> None:
    session = Session(load(see_through(tmp_path / "m")), "cpu")
    array = np.zeros((60, 50), np.uint8)
    array[50:58, 40:48] = 255
    seen = session.prepare(Image.from_array(array))
    kept = session.pieces(seen, folder=tmp_path / "kept", room=0)
    kept.save()
    assert len(list((tmp_path / "kept").glob("*.piece"))) == len(kept.windows)
    again = Pieces.open(tmp_path / "kept", Backend(), session.model.recipe.postprocess)
    assert session.objects(again) == session.objects(session.pieces(seen))
    assert len(session.objects(again)) == 1


def test_a_damaged_piece_is_noticed(tmp_path: Path) -> None:
    session, kept = stored(tmp_path)
    path = tmp_path / "kept" / "1.piece"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"what the network said of a window is damaged on disk: .*1\.piece"):
        session.objects(kept)


def test_a_piece_that_is_gone_is_noticed(tmp_path: Path) -> None:
    session, kept = stored(tmp_path)
    (tmp_path / "kept" / "0.piece").unlink()
    with pytest.raises(StorageError, match="is gone from the disk"):
        session.objects(kept)


def test_a_disk_that_fills_says_how_much_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.arrays, "write", full)
    with pytest.raises(StorageError, match=r"cannot keep what is done: .*No space left.*[GM]B are free"):
        stored(tmp_path)


def test_pieces_beyond_their_room_go_to_files_and_give_the_same_objects(tmp_path: Path) -> None:
    session = Session(load(see_through(tmp_path / "m")), "cpu")
    seen = session.prepare(Image.from_array(bright((60, 50))))
    one = session.objects(session.pieces(seen))
    for room in (0, 900):
        kept = session.pieces(seen, room=room)
        assert session.objects(kept) == one
        assert kept.folder.is_dir()
    temporary = kept.folder
    del kept
    assert not temporary.exists(), "a temporary folder is gone with its pieces"


def test_a_session_predicts_once_and_refuses_what_its_pieces_do_not_serve(tmp_path: Path, ran: Path) -> None:
    session = Session(load(see_through(tmp_path / "m")), "cpu")
    image = Image.from_array(bright((60, 50)))
    kept = session.predict(image)
    before = ran.stat().st_size
    for value in (0.1, 0.35, 0.9):
        change = [f"postprocess.foreground={value}"]
        model = session.model.with_recipe(session.model.recipe.changed(change, session.catalogue))
        fresh = Session(model, "cpu")
        assert session.objects(kept, change) == fresh.objects(fresh.pieces(fresh.prepare(image)))
    assert ran.stat().st_size > before
    with pytest.raises(UsageError, match=r"does not serve this value: postprocess\.foreground=0\.05"):
        session.objects(kept, ["postprocess.foreground=0.05"])
    with pytest.raises(UsageError, match="only a new prediction shows this change: normalise"):
        session.objects(kept, ["normalise.kind=range", "normalise.low=2.0"])
    with pytest.raises(UsageError, match="does not serve watershed"):
        session.objects(kept, ["postprocess.kind=watershed"])


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_part_of_a_stored_piece_is_that_part(tmp_path: Path, ndim: int) -> None:
    rng = np.random.default_rng(ndim)
    shape = (12, 20, 18)[-ndim:]
    mask = rng.random(shape) < 0.4
    values = {"a": rng.random((int(mask.sum()), 3)).astype(np.float32), "b": rng.random(int(mask.sum())) > 0.5}
    whole = Voxels.of(mask, values, Box.whole(shape), shape)
    stored = module.store(whole, tmp_path, 0, Backend())
    for _ in range(20):
        low = [int(rng.integers(0, n)) for n in shape]
        high = [int(rng.integers(a + 1, n + 1)) for a, n in zip(low, shape, strict=True)]
        box = Box(tuple(low), tuple(high))
        part, expected = module.load(stored, box, set(), Backend()).crop(box), whole.crop(box)
        assert np.array_equal(part.mask(), mask[box.slices])
        for name in values:
            assert np.array_equal(part[name], expected[name])
            assert np.array_equal(part[name], values[name][np.searchsorted(whole.index, part.index)])


def test_a_dataclass_of_arrays_is_what_was_written(tmp_path: Path) -> None:
    value = Voxels.of(np.eye(4, dtype=bool), {"x": np.arange(4)}, Box((2, 3), (6, 7)), (10, 11), (0.5, 0.25))
    digest = arrays.write(tmp_path / "v", value)
    read = arrays.read(tmp_path / "v", Voxels)
    assert (read.shape, read.box, read.core, read.voxel_size) == (value.shape, value.box, value.core, value.voxel_size)
    assert read.start.tolist() == value.start.tolist()
    assert read["x"].tolist() == [0, 1, 2, 3]
    assert arrays.write(tmp_path / "w", value) == digest
    with pytest.raises(TypeError, match=r"Bad\.what|has no file form"):
        arrays.write(tmp_path / "x", _Odd(object()))


@dataclass(frozen=True)
class _Odd:
    thing: object


class Faulty(PostProcessor):
    """Goes wrong in one way."""

    kind: Literal["faulty"] = "faulty"
    how: str = ""

    def assemble(self, prediction: Prediction, backend: Backend) -> Any:
        shape = prediction.box.shape
        match self.how:
            case "labels":
                return np.ones(shape, int)
            case "a row short":
                return Instances.empty((shape[0] - 1, *shape[1:]))
            case "scores":
                return Instances.from_labels(np.ones(shape, int), {1: 1.5})
            case "raises":
                return [][1]
            case "writes":
                prediction["foreground"][...] = 0
        return Instances.empty(shape)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (
            "labels",
            r"no Instances of shape \(20, 20\), but an array, int64 .*: .*Faulty\.assemble; .*from_labels",
        ),
        ("a row short", r"no Instances of shape \(20, 20\), of shape \(19, 20\): .*; fill the whole block"),
        ("scores", r"a score is no number from 0 to 1: .*Faulty\.assemble; give probabilities"),
        ("raises", r"faulty failed: IndexError: list index out of range: .*; see seg --traceback"),
        ("writes", r"faulty failed: ValueError: assignment destination is read-only: "),
    ],
)
def test_what_a_postprocessor_gets_wrong_is_told_where_it_enters(how: str, what: str) -> None:
    heads = {"foreground": np.ones((1, 20, 20), np.float32)}
    spec = Faulty(how=how)
    kept = pieces(spec, prediction(heads))
    with pytest.raises(PluginError, match=what):
        sweep(spec, kept, blocks(kept.lattice, None))


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ([1], r"targets|gives a list"),
        ({"a": [1, 2]}, "'a' is a list: .*; give NumPy arrays by name"),
        ({"a": np.ones(3)}, "a has dtype float64: .*; give float32, integers or bool"),
        ({"a": np.array(["x"])}, "a has dtype <U1"),
        ({"a": np.array([np.nan], np.float32)}, "a is not finite everywhere: .*; mark what is unknown by a mask"),
        (
            {"foreground": np.zeros((1, 9, 8), bool)},
            r"bce_dice: the target of head foreground has shape \(1, 9, 8\), and the crop \(8, 9\): "
            r".*BceDice\.targets; give \(channels, 8, 9\)",
        ),
        ({"foreground": np.zeros((8, 9), bool)}, r"the target of head foreground has shape \(8, 9\), and the crop"),
        ({"known": np.zeros((2, 9, 8), bool)}, r"bce_dice: known has shape \(2, 9, 8\), and the crop \(8, 9\)"),
    ],
)
def test_targets_that_are_none_are_told_where_they_enter(found: Any, what: str) -> None:
    with pytest.raises(PluginError, match=what):
        seams.targets(found, BceDice(), (8, 9))


def test_targets_may_be_other_than_maps() -> None:
    found = {"foreground": np.zeros((3, 8, 9), bool), "centres": np.zeros((5, 3), np.int32), "radius": np.ones(2, bool)}
    assert seams.targets(found, BceDice(), (8, 9)) == found


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (torch.zeros(1), "its module gives a Tensor: .*UNet.build; give "),
        ({"other": torch.zeros(1, 1, 8, 8)}, "its module gives no head foreground: .*; it gives other"),
        ({"foreground": torch.zeros(1, 1, 8, 4)}, r"head foreground of shape \(1, 1, 8, 4\): .*; give \(B, 1, 8, 8\)"),
    ],
)
def test_heads_that_are_none_are_told_where_they_enter(found: Any, what: str) -> None:
    with pytest.raises(PluginError, match=what):
        seams.raw(found, [Head("foreground", 1)], (8, 8), UNet())
