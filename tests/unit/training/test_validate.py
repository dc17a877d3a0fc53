"""The score by which the best weights are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from tests.models import load, see_through
from tests.samples import write
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.gpu.backend import Backend
from toolkit.io import open_dataset
from toolkit.pipeline.modules import TorchEngine
from toolkit.plugins.search import Search
from toolkit.testing.scenes import Scene
from toolkit.training import validate
from toolkit.training.validate import Validation, settings
from toolkit.values.image import Image
from toolkit.values.truth import Truth


def touching() -> Scene:
    """Two bright squares and between them a column of which the see-through model says .6."""
    array, labels = np.zeros((24, 40), np.uint8), np.zeros((24, 40), np.int32)
    array[4:20, 4:35] = 255
    labels[4:20, 4:19], labels[4:20, 20:35] = 1, 2
    array[4:20, 19] = 130
    return Scene(Image.from_array(array), Truth.from_layers(labels[None]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data", {"val": {"a": touching(), "b": touching()}})


def test_settings_are_the_recipe_s_and_its_neighbours_on_drifting_fields() -> None:
    values = [post.foreground for post in settings(Threshold())]
    assert values == pytest.approx([0.5, 0.3, 0.7])
    assert [post.foreground for post in settings(Threshold(foreground=0.9))] == pytest.approx([0.9, 0.7])
    assert {post.min_size for post in settings(Threshold(min_size=3))} == {3}


def test_drifting_fields_take_turns() -> None:
    class Two(Threshold):
        kind: Literal["two"] = "two"
        other: Annotated[float, Search(0.0, 1.0, drifts=True)] = 0.5

    tried = [{(post.foreground, post.other) for post in settings(Two(), turn)} for turn in range(4)]
    assert tried[0] == tried[2] == {(0.5, 0.5), (0.3, 0.5), (0.7, 0.5)}
    assert tried[1] == tried[3] == {(0.5, 0.5), (0.5, 0.25), (0.5, 0.75)}


def test_a_validation_begins_at_the_best_setting_so_far_and_names_what_is_not_the_recipe_s(
    data: Path, tmp_path: Path
) -> None:
    model, validation = load(see_through(tmp_path / "model")), Validation(open_dataset(f"{data}:val"))
    # .5 joins the two squares; from .4 a step leads to .6, which separates them.
    assert validation.score(model, Backend(), best={"foreground": 0.41}) == (1.0, {"foreground": pytest.approx(0.61)})
    assert validation.score(model, Backend(), best={"foreground": 0.8}) == (1.0, {"foreground": 0.8})


def test_the_score_is_that_of_the_best_setting_and_the_network_runs_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    whole = TorchEngine.__call__
    monkeypatch.setattr(TorchEngine, "__call__", lambda self, voxels: runs.append(1) or whole(self, voxels))
    model, validation = load(see_through(tmp_path / "model")), Validation(open_dataset(f"{data}:val"))
    assert validation.metric == "S@0.50"
    assert validation.score(model, Backend()) == (1.0, {"foreground": 0.7})
    assert len(runs) == 2 * 2, "two windows of two images"
    monkeypatch.setattr(validate, "settings", lambda post, _: [post])
    assert validation.score(model, Backend()) == (0.0, {})


def test_a_recipe_may_choose_by_detection(data: Path, tmp_path: Path) -> None:
    validation = Validation(open_dataset(f"{data}:val"), by="detection")
    assert validation.metric == "AP_det"
    model = load(see_through(tmp_path / "model", postprocess={"kind": "threshold", "foreground": 0.8}))
    assert validation.score(model, Backend()) == (1.0, {})
    assert Validation(open_dataset(f"{data}:val"), limit=1).items == open_dataset(f"{data}:val").items[:1]


def test_fewer_images_are_spread_over_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "data", {"val": {name: touching() for name in "abcdefg"}})
    validation, seen = Validation(open_dataset(f"{data}:val")), []
    monkeypatch.setattr(type(validation.data), "truth", lambda _, item: seen.append(item.name) or touching().truth)
    model = load(see_through(tmp_path / "model"))
    assert validation.score(model, Backend(), 3)[0] == 1.0
    assert seen == ["a", "c", "e"]
    validation.score(model, Backend(), 99)
    assert seen[3:] == list("abcdefg")
