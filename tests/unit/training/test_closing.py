"""The end of a training: the score that is said is the score that is obtained."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.models import see_through
from tests.samples import write
from tests.unit.training.test_validate import touching
from toolkit.evaluation.named import find_value
from toolkit.gpu.backend import Backend
from toolkit.io import open_dataset
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.segment import segment
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package, resolve
from toolkit.testing.scenes import Scene
from toolkit.training import closing
from toolkit.training.checkpoint import Progress
from toolkit.training.closing import Score, Watch, close
from toolkit.training.phases import Timetable
from toolkit.training.run import Run
from toolkit.tune.rehearsed import Cost
from toolkit.values.image import Image
from toolkit.values.truth import Truth

CATALOGUE = Catalogue(allow=())


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Images in which a setting that the recipe has not is right."""
    return f"{write(tmp_path / 'data', {'val': {'a': touching(), 'b': touching()}})}:val"


def run(folder: Path) -> Run:
    place = see_through(folder)
    return Run(place, Recipe.load(place / package.RECIPE, CATALOGUE))


def done(best: float = 0.5, **more: object) -> Progress:
    return replace(Progress(9, Timetable((9,), 1), 1, best=best, best_step=9, seconds=100.0), **more)


def obtained(folder: Path, data: str) -> float:
    """What a run of the model that lies in the folder reaches."""
    found = open_dataset(data)
    measure, name = find_value("S@0.50", CATALOGUE)
    model = resolve.load(str(folder), CATALOGUE)
    counts = [measure.count(found.truth(i), segment(found.image(i), model, device="cpu")) for i in found.items]
    return measure.summarise(counts)[name]


def test_the_setting_that_is_found_is_in_the_recipe_and_its_score_is_obtained(tmp_path: Path, data: str) -> None:
    place = run(tmp_path / "run")
    assert obtained(place.folder, data) == 0.0
    score = close(place, done(), data, CATALOGUE, Backend())
    assert score is not None
    assert (score.metric, score.value, score.images) == ("S@0.50", 1.0, 2)
    assert obtained(place.folder, data) == 1.0
    assert any(change.startswith("postprocess.foreground=") for change in score.changes)
    written = yaml.safe_load((place.folder / package.RECIPE).read_text())["postprocess"]
    assert written == score.postprocess
    (record,) = json.loads((place.folder / "tuned.json").read_text())
    assert record["after"] == 1.0
    assert json.loads((place.folder / "training.json").read_text())["closing"]["value"] == 1.0


def test_it_begins_where_validation_was_best(tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "TRIALS", 1)
    place = run(tmp_path / "run")
    score = close(place, done(setting={"foreground": 0.7}), data, CATALOGUE, Backend())
    assert score is not None
    assert (score.value, score.changes, score.settings) == (1.0, ("postprocess.foreground=0.7",), 1)
    assert obtained(place.folder, data) == 1.0


def test_fields_that_somebody_has_set_stay(tmp_path: Path, data: str) -> None:
    place = replace(run(tmp_path / "run"), about={"held": ["foreground"]})
    score = close(place, done(setting={"foreground": 0.7}), data, CATALOGUE, Backend())
    assert score is not None
    assert score.postprocess["foreground"] == 0.5
    assert score.value == obtained(place.folder, data) == 0.0


def test_a_recipe_that_is_right_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.tune.precision"], "short", lambda _: False)
    array, labels = np.zeros((24, 40), np.uint8), np.zeros((24, 40), np.int32)
    array[4:20, 4:35], labels[4:20, 4:35] = 255, 1
    scene = Scene(Image.from_array(array), Truth.from_layers(labels[None]))
    where = f"{write(tmp_path / 'data', {'val': {'a': scene}})}:val"
    place = run(tmp_path / "run")
    before = (place.folder / package.RECIPE).read_text()
    score = close(place, done(), where, CATALOGUE, Backend())
    assert score is not None
    assert (score.value, score.changes) == (1.0, ())
    assert (place.folder / package.RECIPE).read_text() == before
    assert not (place.folder / "tuned.json").exists()


def test_it_is_said_again_as_long_as_it_is_true(tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = run(tmp_path / "run")
    first = close(place, done(), data, CATALOGUE, Backend())
    monkeypatch.setattr(closing, "tune", None)
    again = replace(place, about=json.loads((place.folder / "training.json").read_text()))
    assert close(again, done(), data, CATALOGUE, Backend()) == first
    changed = place.recipe.changed(["postprocess.foreground=0.2"], CATALOGUE)
    (place.folder / package.RECIPE).write_text(changed.dump())
    assert close(again, done(), data, CATALOGUE, Backend()) is None


def test_what_only_prepares_has_no_score(tmp_path: Path, data: str) -> None:
    assert close(run(tmp_path / "run"), done(best=-1.0), data, CATALOGUE, Backend()) is None


@pytest.mark.slow
def test_a_quarter_of_the_time_is_enough_and_one_setting_is_always_scored(tmp_path: Path, data: str) -> None:
    now = [0.0]

    def clock() -> float:
        return now[0]

    def closed(name: str, seconds: float, each: float) -> Score:
        """Each setting takes `each` seconds."""
        now[0] = 0.0

        def tell(what: str, *_: object) -> None:
            now[0] += each if what == "tune" else 0.0

        found = close(run(tmp_path / name), done(seconds=seconds), data, CATALOGUE, Backend(), clock=clock, tell=tell)
        assert found is not None
        return found

    slow, quick, late = closed("slow", 100.0, 4.0), closed("quick", 100.0, 0.5), closed("late", 1.0, 50.0)
    assert slow.settings == 5
    assert slow.seconds <= 25
    assert quick.settings > slow.settings
    assert late.settings == 1


def test_where_there_is_time_for_one_setting_nothing_is_kept_for_others(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    pieces = Session.pieces

    def seen(self: Session, prepared: Prepared, *, loose: bool = False, **more: Any) -> Pieces:
        kept.append(loose)
        return pieces(self, prepared, loose=loose, **more)

    monkeypatch.setattr(Session, "pieces", seen)
    for other, settings in ((9.0, 1), (2.0, 60)):  # of 23 seconds, the first one takes 20
        kept.clear()
        monkeypatch.setattr(closing, "rehearse", lambda *_, other=other: Cost(20.0, other))
        place = run(tmp_path / str(settings))
        score = close(place, done(setting={"foreground": 0.7}), data, CATALOGUE, Backend(), clock=lambda: 0.0)
        assert score is not None
        assert (score.value, score.settings == 1) == (1.0, settings == 1)
        assert kept[:2] == [settings > 1] * 2
        assert obtained(place.folder, data) == 1.0


def test_a_watch_knows_how_long_a_setting_takes() -> None:
    now = [0.0]
    watch = Watch(lambda: now[0], 10.0, lambda *_: None)
    now[0] = 2.0
    watch.tell("predict", 1, 1, None)
    assert not watch.late()
    now[0] = 6.0
    watch.tell("tune", 1, 60, 0.5)
    assert not watch.late()  # 6 + 4 is just in time
    now[0] = 6.1
    assert watch.late()


def test_a_training_that_ends_below_its_beginning_holds_the_model_that_it_began_with(tmp_path: Path, data: str) -> None:
    place = run(tmp_path / "run")
    began = see_through(tmp_path / "began")
    recipe = Recipe.load(began / package.RECIPE, CATALOGUE).changed(["postprocess.foreground=0.7"], CATALOGUE)
    (began / package.RECIPE).write_text(recipe.dump())
    model = resolve.load(str(began), CATALOGUE)
    assert obtained(began, data) == 1.0
    weights = {name: value * 0 for name, value in model.build().state_dict().items()}
    place.weights(weights)  # sees nothing
    tuned = replace(place, start=model.with_recipe(place.recipe), tuning=model)
    score = close(tuned, done(), data, CATALOGUE, Backend())
    assert score is not None
    assert (score.before, score.value, score.kept, score.changes) == (1.0, 1.0, True, ())
    assert obtained(place.folder, data) == 1.0
    again = replace(tuned, about=json.loads((place.folder / "training.json").read_text()))
    assert close(again, done(), data, CATALOGUE, Backend()) == score
    # What somebody has set stays, and the model is judged with it.
    other = replace(tuned, folder=run(tmp_path / "other").folder, about={"held": ["foreground"]})
    other.weights(weights)
    score = close(other, done(), data, CATALOGUE, Backend())
    assert score is not None
    assert (score.before, score.value, score.kept) == (0.0, 0.0, False)
