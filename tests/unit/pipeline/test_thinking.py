from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.errors import PluginError, UsageError
from toolkit.io.zarrlabels import write_zarr
from toolkit.io.zarrthoughts import read_thoughts
from toolkit.pipeline.noted import entropy
from toolkit.pipeline.thinking import Thoughts, _Grid, known, together
from toolkit.plugins import seams
from toolkit.plugins.catalogue import Catalogue
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head
from toolkit.values.thought import Marks


@dataclass
class Shows:
    kind: str = "mine"
    shows: tuple[str, ...] = ("rays",)


def test_names_that_some_method_tells_may_be_asked_beside_those_of_this_one() -> None:
    catalogue = Catalogue(["cpv"])
    known(("heads", "rays", "graph", "votes"), Shows(), catalogue)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no method tells this: --show sedes; did you mean 'seeds'"):
        known(("heads", "sedes"), Shows(), catalogue)  # type: ignore[arg-type]


def test_a_method_that_tells_nothing_of_what_is_asked_says_what_it_tells() -> None:
    said = "method mine does not tell this: --show votes,graph; it tells heads, entropy, scores, rays"
    with pytest.raises(UsageError, match=said):
        known(("votes", "graph"), Shows(), Catalogue(["cpv"]))  # type: ignore[arg-type]


def test_the_entropy_is_0_where_a_head_is_sure_and_1_where_it_is_not() -> None:
    two = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    assert entropy(two, Head("f", 1, "sigmoid"))[0, 0] == pytest.approx([0, 1, 0], abs=1e-4)
    three = np.array([[[1.0, 1 / 3, 0.5]], [[0.0, 1 / 3, 0.5]], [[0.0, 1 / 3, 0.0]]], np.float32)
    expected = [0, 1, np.log(2) / np.log(3)]
    assert entropy(three, Head("t", 3, "softmax"))[0, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("by", "seen"), [((2.0, 2.0), (40, 60)), ((0.5, 0.5), (10, 15)), ((1.0, 0.25), (20, 8))])
def test_thoughts_of_a_rescaled_image_come_back_to_its_voxels(by: tuple[float, ...], seen: tuple[int, ...]) -> None:
    grid = _Grid((20, 30), by)
    field = np.stack(np.meshgrid(*map(np.arange, seen), indexing="ij")).astype(float)
    there = grid.field(field)
    assert there.shape == (2, 20, 30)
    place = np.stack(np.meshgrid(np.arange(20), np.arange(30), indexing="ij"))
    for axis in range(2):
        centre = (place[axis] + 0.5) * by[axis] - 0.5
        assert np.abs(there[axis] - centre.clip(0, seen[axis] - 1)).max() <= 0.5
    points = np.array([[3.0, 4.0], [0.0, 0.0]])
    marks = grid.marks(Marks("ellipses", points, np.full((2, 2), 2.0), np.ones(2)))
    assert ((marks.places + 0.5) * by - 0.5) == pytest.approx(points)
    assert marks.others * by == pytest.approx(2)


def test_marks_and_their_rows_are_one_another() -> None:
    rng = np.random.default_rng(0)
    for kind, ends in (("points", np.zeros((0, 0))), ("lines", rng.random((4, 3))), ("ellipses", rng.random((4, 3)))):
        marks = Marks(kind, rng.random((4, 3)), ends, rng.random(4))  # type: ignore[arg-type]
        again = Marks.of_rows(kind, marks.rows())  # type: ignore[arg-type]
        assert again.rows() == pytest.approx(marks.rows())
        assert again.places == pytest.approx(marks.places)
    assert Marks("points", np.zeros((2, 2))).rows()[:, -1].tolist() == [1, 1]


def test_frames_of_a_series_are_told_one_after_the_other() -> None:
    frames = []
    for t in (1, 2):
        marks = Marks("lines", np.ones((t, 2)), np.ones((t, 2)))
        frames.append(Thoughts({"f": np.full((1, 4, 5), t, np.float16)}, {"m": marks}, ("n",)))
    whole = together(frames)
    assert whole.fields["f"].shape == (1, 2, 4, 5)
    assert whole.marks["m"].places.tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert whole.marks["m"].others.tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert whole.notes == ("n",)
    assert together(frames[:1]) is frames[0]


def test_what_is_told_is_stored_in_the_zarr_and_read_again(tmp_path: Path) -> None:
    labels = np.zeros((40, 50), np.int32)
    labels[3:9, 4:20] = 1
    field = np.random.default_rng(0).random((2, 40, 50)).astype(np.float16)
    marks = Marks("lines", np.ones((3, 2)), np.zeros((3, 2)), np.array([-1.0, 0.5, 1.0]))
    write_zarr(tmp_path / "a.zarr", Instances.from_labels(labels), (0.5, 0.5), "YX", {"f": field}, {"m": marks})
    fields, found = read_thoughts(tmp_path / "a.zarr")
    assert np.array_equal(fields["f"][...], field)
    assert found["m"].rows() == pytest.approx(marks.rows())
    write_zarr(tmp_path / "b.zarr", Instances.from_labels(labels), None, "YX")
    assert read_thoughts(tmp_path / "b.zarr") == ({}, {})


@pytest.mark.parametrize("told", [None, {"a": 3}, {"a": np.zeros((4, 5))}, {"a": np.zeros((1, 5, 4))},
                                  {"a": Marks("points", np.zeros((2, 3)))}])  # fmt: skip
def test_what_is_no_thought_of_the_image_names_the_method(told: Any) -> None:
    with pytest.raises(PluginError, match=r"mine: .*Shows.thoughts"):
        seams.thoughts(told, (4, 5), Shows())
    assert seams.thoughts({"a": np.zeros((1, 4, 5))}, (4, 5), SimpleNamespace(kind="x")).keys() == {"a"}
