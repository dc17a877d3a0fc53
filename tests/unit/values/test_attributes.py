"""What a method says of each object goes where its object goes: through blocks, files, tables, frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import PluginError
from toolkit.io.zarrinstances import read_zarr_instances
from toolkit.plugins import seams
from toolkit.steps.measure import joined, measure
from toolkit.steps.shrink import enlarge
from toolkit.steps.stitch import stitch
from toolkit.testing.strategies import labels
from toolkit.values.fragment import Fragment
from toolkit.values.frames import frame, stack
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box


def told(image: np.ndarray) -> Instances:
    """Objects that say which label they had, a vector, and where their first voxel is."""
    names = np.unique(image[image > 0])
    first = np.array([np.argwhere(image == n)[0] for n in names], np.float32).reshape(len(names), 1, image.ndim)
    about = {"label": names, "embedding": np.stack([names, -names], 1), "polygon": first}
    return Instances.from_labels(image, attributes=about)


def true(found: Instances, image: np.ndarray) -> bool:
    """Whether each object still says what it said."""
    return all(
        image.reshape(-1)[found.voxels(k)[0]] == found.attributes["label"][k] == -found.attributes["embedding"][k, 1]
        and tuple(found.attributes["polygon"][k, 0]) == np.unravel_index(found.voxels(k)[0], found.shape)
        for k in range(len(found))
    )


@given(labels())
def test_an_object_keeps_what_was_said_of_it(image: np.ndarray) -> None:
    found = told(image)
    assert true(found, image)
    assert true(found.select(np.arange(len(found)) % 2 == 0), image)
    room = tuple(n + 3 for n in image.shape)
    there = found.place(Box((2,) * image.ndim, tuple(n + 2 for n in image.shape)), room)
    assert true(there, np.pad(image, [(2, 1)] * image.ndim))


@pytest.mark.parametrize("more", [-1, 1])
def test_what_is_said_of_more_or_fewer_objects_than_there_are_is_refused(more: int) -> None:
    image = np.zeros((8, 8), np.int32)
    image[1, 1], image[3, 3], image[5:, 5] = 4, 2, 9
    said = {"mean": np.arange(3 + more)}
    why = f"mean has {3 + more} entries for 3 objects: give one per object, in ascending order of labels"
    planes = np.stack([image == 9, image == 7, image == 2])
    with pytest.raises(ValueError, match=why):
        Instances.from_labels(image, attributes=said)
    with pytest.raises(ValueError, match=why):
        Instances.from_planes(planes, attributes=said)
    with pytest.raises(ValueError, match=f"scores has {3 + more} entries for 3 objects"):
        Instances.from_planes(planes, [0.5] * (3 + more))
    with pytest.raises(ValueError, match="mean is one value for 3 objects"):
        Instances.from_labels(image, attributes={"mean": np.float32(1)})
    one = np.ones(3, np.int64)
    with pytest.raises(ValueError, match=why):
        Instances.from_runs((8, 8), np.arange(3) * 9, one, np.arange(3), np.ones(3), said)
    with pytest.raises(ValueError, match="mean has 2 entries for 3 objects"):
        Instances.from_runs((8, 8), np.arange(3) * 9, one, np.arange(3), attributes={"mean": np.arange(2)})
    last = Instances.from_planes(planes, [0.1, 0.2, 0.3], {"mean": np.arange(3)})
    assert (last.attributes["mean"].tolist(), last.scores.tolist()) == ([2, 0], [np.float32(0.3), np.float32(0.1)])


@given(labels(), st.integers(0, 5))
def test_stitched_objects_say_what_their_largest_part_said(image: np.ndarray, cut: int) -> None:
    whole, (first, *rest) = Box.whole(image.shape), image.shape
    cut = max(1, min(cut, first - 1)) if first > 1 else 0
    cores = [Box((0,) * image.ndim, (cut, *rest)), Box((cut, *[0] * len(rest)), image.shape)] if cut else [whole]
    found = stitch([Fragment(told(image), whole, core, image.shape) for core in cores])
    assert found == told(image)
    assert true(found, image)


def test_frames_tables_and_larger_images_keep_it(tmp_path: Path) -> None:
    image = np.zeros((6, 8), np.int32)
    image[1:3, 1:4], image[4, 5:] = 7, 3
    found, nothing = told(image), Instances.empty(image.shape)
    series = stack([nothing, found, nothing])
    assert true(frame(series, 1), image)
    assert series.attributes["label"].tolist() == [7, 3]
    table = measure(found, Image.from_array(image.astype(np.uint8)[None], "CYX"))
    assert table["label"].tolist() == [7, 3]
    assert table["embedding_1"].tolist() == [-7, -3]
    assert not any(name.startswith("polygon") for name in table)
    empty = measure(nothing, Image.from_array(image.astype(np.uint8)[None], "CYX"))
    assert joined([empty, table])["label"].tolist() == [7, 3]
    larger = enlarge(found, (2, 2), (12, 16))
    assert larger.attributes["polygon"][:, 0].tolist() == [[2.5, 2.5], [8.5, 10.5]]


def test_a_file_of_objects_holds_it(tmp_path: Path) -> None:
    from toolkit import io

    image = np.zeros((6, 8), np.int32)
    image[1:3, 1:4], image[4, 5:] = 7, 3
    io.write(tmp_path, "cells", told(image), Image.from_array(image.astype(np.uint8)[None], "CYX"))
    again, _ = read_zarr_instances(tmp_path / "cells.zarr")
    assert true(again, image)


def test_a_method_that_says_something_of_fewer_objects_is_told() -> None:
    class Spec:
        kind = "odd"

    image = np.ones((4, 4), np.int32)
    found = told(image)
    object.__setattr__(found, "attributes", {"label": np.zeros(3)})
    with pytest.raises(PluginError, match="attribute label has 3 entries for 1 objects"):
        seams.instances(found, (4, 4), Spec(), "assemble")


def test_scores_that_name_no_labels_are_refused() -> None:
    labels = np.array([[2, 0, 5]])
    assert Instances.from_labels(labels, scores={5: 0.25}).scores.tolist() == [1.0, 0.25]
    with pytest.raises(ValueError, match=r"scores map labels to numbers, such as \{1: 0.9\}"):
        Instances.from_labels(labels, scores=[0.5, 0.25])  # type: ignore[arg-type]
