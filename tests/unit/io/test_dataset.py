from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from tests.battery import kinds
from tests.golden import FOLDER
from toolkit import io
from toolkit.check import diagnose
from toolkit.check.inventory import inventory
from toolkit.errors import InputError, UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.values.image import Image
from toolkit.values.instances import Instances

SETS = sorted(p.parent for p in FOLDER.glob("*/splits.json"))


def make(root: Path, names: str = "abc", splits: object = None, meta: object = None) -> Path:
    """A data set with images of 8×9 pixels and masks of one object."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
        for name in names:
            tifffile.imwrite(root / folder / f"{name}.tif", np.eye(8, 9, dtype=np.uint8))
    for name, about in (("splits", splits), ("meta", meta)):
        if about is not None:
            (root / f"{name}.json").write_text(json.dumps(about))
    return root


def names(dataset: io.Dataset) -> list[str]:
    return [item.name for item in dataset.items]


def test_a_split_has_the_images_that_it_names_in_its_order(tmp_path: Path) -> None:
    root = make(tmp_path / "cells", splits={"train": ["c", "a"], "test": ["b"]})
    assert names(io.open_dataset(f"{root}:train")) == ["c", "a"]
    assert names(io.open_dataset(f"{root}:test")) == ["b"]
    whole = io.open_dataset(root)
    assert (names(whole), whole.split, whole.name) == (["c", "a", "b"], "all", "cells")
    assert whole.splits == ("train", "test")


def test_without_splits_all_images_are_one_split(tmp_path: Path) -> None:
    root = make(tmp_path / "cells")
    assert names(io.open_dataset(f"{root}:all")) == ["a", "b", "c"]
    assert io.open_dataset(root).splits == ("all",)


def test_an_unknown_split_gets_the_nearest_name(tmp_path: Path) -> None:
    root = make(tmp_path / "cells", splits={"train": ["a"], "test": ["b"]})
    with pytest.raises(UsageError, match=r"no split 'tset'.*did you mean 'test'\?"):
        io.open_dataset(f"{root}:tset")
    with pytest.raises(UsageError, match="all"):
        io.open_dataset(f"{make(tmp_path / 'plain')}:train")


def test_meta_tells_axes_and_voxel_size(tmp_path: Path) -> None:
    meta = {"axes": "CYX", "masks": "QYX", "voxel_size_um": [0.5, 0.25], "channels": ["dna"]}
    dataset = io.open_dataset(make(tmp_path / "cells", meta=meta))
    assert (dataset.axes, dataset.mask_axes, dataset.channels) == ("CYX", "QYX", ("dna",))
    item = dataset.items[0]
    assert dataset.image(item).voxel_size == dataset.truth(item).voxel_size == (0.5, 0.25)
    assert len(dataset.truth(item).instances) == 1


def test_void_masks_belong_to_their_images(tmp_path: Path) -> None:
    root = make(tmp_path / "cells")
    (root / "void").mkdir()
    tifffile.imwrite(root / "void" / "b.tif", np.ones((8, 9), np.uint8))
    dataset = io.open_dataset(root)
    assert [item.void is not None for item in dataset.items] == [False, True, False]
    void = dataset.truth(dataset.items[1]).void
    assert void is not None
    assert void.all()


def test_a_plain_folder_of_images_has_no_masks(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.eye(8, 9, dtype=np.uint8)))
    (tmp_path / "notes.txt").touch()
    dataset = io.open_dataset(tmp_path)
    assert [(i.name, i.mask) for i in dataset.items] == [("a", None)]
    assert dataset.image(dataset.items[0]).shape == (8, 9)
    with pytest.raises(InputError, match="no mask"):
        dataset.truth(dataset.items[0])


def test_results_of_a_run_can_be_the_masks(tmp_path: Path) -> None:
    root = make(tmp_path / "cells", names="a")
    instances = Instances.from_labels(np.eye(8, 9, dtype=np.int32))
    (root / "masks" / "a.tif").unlink()
    io.write(tmp_path / "out", "a", instances, Image.from_array(np.eye(8, 9, dtype=np.uint8)))
    for name in ("a.labels.tif", "a.zarr"):
        (tmp_path / "out" / name).rename(root / "masks" / name)
        dataset = io.open_dataset(root)
        assert dataset.truth(dataset.items[0]).instances == instances
        (root / "masks" / name).rename(tmp_path / "out" / name)


@pytest.mark.parametrize("lost", ["images/b.tif", "masks/b.tif"])
@pytest.mark.parametrize("splits", [None, {"train": ["a", "b"], "test": ["c"]}])
def test_a_file_without_a_partner_is_an_input_error(tmp_path: Path, lost: str, splits: object) -> None:
    root = make(tmp_path / "cells", splits=splits)
    (root / lost).unlink()
    with pytest.raises(InputError, match="b"):
        io.open_dataset(root)


def test_two_images_of_one_name_are_an_input_error(tmp_path: Path) -> None:
    root = make(tmp_path / "cells")
    (root / "images" / "a.png").write_bytes(imagecodecs.png_encode(np.eye(8, 9, dtype=np.uint8)))
    with pytest.raises(InputError, match="one name"):
        io.open_dataset(root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("splits.json", "{"),
        ("splits.json", "[]"),
        ("splits.json", '{"train": "a"}'),
        ("splits.json", '{"train": ["zz"]}'),
        ("meta.json", "\udcff"),
        ("meta.json", '{"axes": 3}'),
        ("meta.json", '{"voxel_size_um": [1, "x"]}'),
        ("meta.json", '{"voxel_size_um": [0]}'),
        ("meta.json", '{"channels": 2}'),
    ],
)
def test_a_damaged_list_is_an_input_error(tmp_path: Path, name: str, text: str) -> None:
    root = make(tmp_path / "cells")
    (root / name).write_bytes(text.encode("utf8", "surrogateescape"))
    with pytest.raises(InputError):
        io.open_dataset(root)


def test_a_missing_or_empty_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such data set"):
        io.open_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="no image"):
        io.open_dataset(tmp_path)


@pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)
def test_real_data_sets_can_be_read(folder: Path) -> None:
    names = []
    for split in io.open_dataset(folder).splits:
        dataset = io.open_dataset(f"{folder}:{split}")
        for item in dataset.items:
            image, truth = dataset.image(item), dataset.truth(item)
            labels = tifffile.imread(folder / "masks" / f"{item.name}.tif")
            names.append(item.name)
            assert image.notes == ()
            assert image.shape == truth.shape == labels.shape
            assert image.voxel_size == truth.voxel_size
            assert image.calibrated == (dataset.voxel_size is not None)
            assert len(truth.instances) == len(np.unique(labels[labels > 0]))
    found = io.find_inputs([str(folder)])
    assert [f.stem for f in found] == sorted(names)
    assert {f.axes for f in found} == {dataset.axes}


def test_weights_belong_to_images(tmp_path: Path) -> None:
    root = make(tmp_path / "cells", splits={"train": ["c", "a"], "test": ["b"]})
    assert [item.weight for item in io.open_dataset(root).items] == [1, 1, 1]
    (root / "weights.csv").write_text("name,note,weight\na,hard,4\nb,,0\n")
    assert {item.name: item.weight for item in io.open_dataset(root).items} == {"a": 4, "b": 0, "c": 1}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name,weight\nx,1\n", r"there is no image 'x': .*line 2"),
        ("name,weight\na,1\na,2\n", r"an image has two weights: .*line 3: a"),
        ("name,weight\na,-1\n", r"a weight is not a number from 0 on: .*line 2: '-1'"),
        ("name,weight\na,nan\n", "a weight is not a number"),
        ("name,weight\na,inf\n", "a weight is not a number"),
        ("name,weight\na,much\n", "a weight is not a number"),
        ("name,weight\na\n", "a row has no name or no weight: .*line 2"),
        ('name,weight\n"a,2\nb,3\n', "a row has no name or no weight: .*line 2"),
        *(
            (text, "this table has not the columns name and weight: .*begin: name,weight")
            for text in ("a,4\nb,2\n", "a,4\n", "name;weight\na;2\n", "", "\n\n", "\0")
        ),
        (b"name,weight\na,\xff\n", "this table cannot be read"),
    ],
)
def test_weights_that_make_no_sense_are_a_sentence(tmp_path: Path, text: str | bytes, what: str) -> None:
    root = make(tmp_path / "cells")
    (root / "weights.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=what):
        io.open_dataset(root)


@pytest.mark.parametrize("name", ["weights.csv", "meta.json", "splits.json"])
def test_what_describes_a_data_set_and_is_no_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    root = make(tmp_path / "cells")
    (root / name).mkdir()
    with pytest.raises(InputError, match=name):
        io.open_dataset(root)
    (root / name).rmdir()
    (root / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=name):
        io.open_dataset(root)


def test_weights_may_begin_with_the_mark_of_a_spreadsheet(tmp_path: Path) -> None:
    root = make(tmp_path / "cells")
    (root / "weights.csv").write_text("name,weight\na,4\n", encoding="utf-8-sig")
    assert {item.name: item.weight for item in io.open_dataset(root).items} == {"a": 4, "b": 1, "c": 1}


@pytest.mark.parametrize("axes", ["YYYY", "", "ZY", "QYX", "hello", "YX\u0660"])
def test_axes_that_make_no_sense_are_the_fault_of_the_data_set(tmp_path: Path, axes: str) -> None:
    root = make(tmp_path / "cells", meta={"axes": axes})
    for use in (io.open_dataset, lambda root: io.search([root])):
        with pytest.raises(InputError, match=r"these axes make no sense: .*meta\.json, axes: ") as caught:
            use(root)
        assert caught.value.exit_code == 5
    with pytest.raises(InputError, match=r"meta\.json, masks: "):
        io.open_dataset(make(tmp_path / "others", meta={"masks": axes.replace("Q", "C")}))


def test_names_pair_in_either_spelling_of_accents(tmp_path: Path) -> None:
    for kind, form in (("images", "NFC"), ("masks", "NFD")):
        (tmp_path / kind).mkdir()
        for stem in ("é_a", "é_b"):
            path = tmp_path / kind / (unicodedata.normalize(form, stem) + ".tif")
            tifffile.imwrite(path, np.eye(8, dtype=np.uint8), photometric="minisblack")
    (tmp_path / "splits.json").write_text(json.dumps({"val": [unicodedata.normalize("NFD", "é_a")]}))
    assert len(io.open_dataset(tmp_path)) == 1
    (item,) = io.open_dataset(f"{tmp_path}:val").items
    assert item.mask is not None
    assert not diagnose(inventory(str(tmp_path)), Catalogue(allow=())).errors


def test_outlines_are_masks_and_a_mask_that_is_not_read_is_named(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", kinds.PLANE)
    kinds.geojson()(tmp_path / "masks")
    data = io.open_dataset(tmp_path)
    assert np.array_equal(data.truth(data.items[0]).layers[0], kinds.LABELS)
    (facts,) = diagnose(inventory(str(tmp_path)), Catalogue(allow=())).facts
    assert facts.mask is not None
    assert len(facts.mask.objects) == 6
    (tmp_path / "masks" / "a.geojson").rename(tmp_path / "masks" / "a_seg.npy")
    tifffile.imwrite(tmp_path / "images" / "b.tif", kinds.PLANE)
    tifffile.imwrite(tmp_path / "masks" / "b.tif", kinds.LABELS)
    with pytest.raises(InputError, match=r"an image has no mask: .*a\.tif; a_seg\.npy is not read"):
        io.open_dataset(tmp_path)


def test_a_split_without_images_is_empty(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in "ab":
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", kinds.PLANE)
    (tmp_path / "splits.json").write_text('{"train": ["a", "b"], "val": []}')
    assert io.open_dataset(f"{tmp_path}:val").items == ()
    assert [item.name for item in io.open_dataset(tmp_path).items] == ["a", "b"]
