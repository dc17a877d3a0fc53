"""Tuning: the search alone, then with a network whose right thresholds are known."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from tests.battery.installed import install_good
from tests.unit import scenes
from toolkit import io
from toolkit.builtin.metrics.matched import S
from toolkit.errors import InputError, UsageError
from toolkit.evaluation.evaluate import Pair, evaluate
from toolkit.gpu.backend import Backend
from toolkit.pipeline.elsewhere import Model
from toolkit.pipeline.segment import segment
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.search import Search
from toolkit.registry import package, resolve
from toolkit.tune import choose, kept, rehearsed, tunable, tune
from toolkit.tune.cached import Judge, Work
from toolkit.tune.rehearsed import Cost, rehearse
from toolkit.tune.search import SAMPLERS, Budget, Values, place, search, value

SPACE = {"a": Search(0.1, 0.9), "b": Search(1, 200, log=True, step=1), "c": Search(0, 30, step=5)}
START = {"a": 0.5, "b": 16, "c": 0}


def hill(settings: Sequence[Values]) -> list[float]:
    """A smooth score with its top at a = .33, b = 60, c = 20."""
    return [-((s["a"] - 0.33) ** 2) - 0.1 * math.log(s["b"] / 60) ** 2 - 0.001 * (s["c"] - 20) ** 2 for s in settings]


@pytest.mark.parametrize("sampler", ["coordinates", "optuna"])
def test_the_top_of_a_hill_is_found(sampler: str) -> None:
    best = search(sampler, SPACE, START, hill, 120)
    assert best["a"] == pytest.approx(0.33, abs=0.06)
    assert best["b"] == pytest.approx(60, rel=0.5)
    assert abs(best["c"] - 20) <= 5


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("trials", [2, 9, 40])
def test_no_sampler_tries_more_than_it_may_nor_anything_twice(sampler: str, trials: int) -> None:
    seen: list[tuple[tuple[str, float], ...]] = []

    def score(settings: Sequence[Values]) -> list[float]:
        seen.extend(tuple(sorted(s.items())) for s in settings)
        return hill(settings)

    best = search(sampler, SPACE, START, score, trials)
    assert len(seen) == len(set(seen)) <= trials
    assert dict(seen[0]) == START
    assert hill([best])[0] == max(hill([dict(s) for s in seen]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_where_nothing_is_better_the_start_stays(sampler: str) -> None:
    assert search(sampler, SPACE, START, lambda settings: [1.0] * len(settings), 30) == START
    alone = search(sampler, SPACE, START, lambda s: [0.0 if one == START else -math.inf for one in s], 30)
    assert alone == START


@given(
    st.floats(0, 1), st.floats(0.001, 5), st.floats(1.5, 400), st.booleans(), st.sampled_from([None, 0.05, 0.5, 1, 5])
)
def test_values_lie_in_the_range_and_on_the_steps(
    mark: float, low: float, factor: float, log: bool, step: float | None
) -> None:
    how = Search(low, low * factor, log=log, step=step)
    found = value(how, mark)
    assert how.low * 0.999 <= found <= how.high * 1.001
    if step is not None and found < how.high * 0.999:
        steps = (found - low) / step
        assert abs(steps - round(steps)) * step < 1e-3 * max(1, found)
    if step is None:
        assert place(how, found) == pytest.approx(mark, abs=2e-3)


def test_whole_steps_give_whole_numbers() -> None:
    found = [value(Search(1, 60, step=1), mark) for mark in np.linspace(0, 1, 13)]
    assert all(type(v) is int for v in found)


def test_a_value_beyond_the_range_starts_at_its_end() -> None:
    assert place(Search(1, 100, log=True), 0) == 0
    assert place(Search(0.1, 0.9), 1.5) == 1


def test_a_budget_that_is_spent_scores_nothing_more() -> None:
    budget = Budget(hill, 1)
    budget.ask([START])
    assert budget.ask([{**START, "a": 0.3}]) == [-math.inf]


def test_an_unknown_sampler_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'grid'"):
        search("gird", SPACE, START, hill, 3)


RECIPE = """
schema: toolkit.recipe/1
name: tiny
network: {kind: good}
loss: {kind: bce_dice}
normalise: {kind: range}
postprocess: {kind: threshold, foreground: 0.5, min_size: 1}
tiling: {window: [64, 64], overlap: 16}
training: {crop: [64, 64]}
"""


def dataset(root: Path, count: int = 5, inside: float = 0.7) -> Path:
    """Images that the network turns into probabilities: objects at `inside`, halos at .6 that join them, specks at .9.

    A threshold between .6 and `inside` and a least size above 9 voxels give the truth.
    """
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    names = [f"i{k}" for k in range(count)]
    for k, name in enumerate(names):
        labels = scenes.labels(k, (96, 110), 7, 12.0)
        labels[[0, -1]] = labels[:, [0, -1]] = 0
        for axis in (0, 1):  # a gap between neighbours, so that the right threshold parts them
            near = np.roll(labels, 1, axis)
            labels[(near > 0) & (near != labels)] = 0
        probability = np.full(labels.shape, 0.05)
        halo = labels > 0
        for axis in (0, 1):
            halo = halo | np.roll(halo, 2, axis) | np.roll(halo, -2, axis) | np.roll(halo, 1, axis)
        probability[halo] = 0.6
        probability[labels > 0] = inside
        specks = np.random.default_rng(k).integers(0, 90, (12, 2))
        for y, x in specks:
            if not halo[y : y + 5, x : x + 5].any():
                probability[y + 1 : y + 4, x + 1 : x + 4] = 0.9
        logit = np.log(probability / (1 - probability))
        tifffile.imwrite(root / "images" / f"{name}.tif", ((logit + 10) / 20 * 65535).astype(np.uint16))
        tifffile.imwrite(root / "masks" / f"{name}.tif", labels.astype(np.uint16))
    (root / "splits.json").write_text(json.dumps({"train": names[:1], "val": names[1:-1], "test": names[-1:]}))
    return root


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a run of a plugin whose network is sigmoid(20 x − 10)."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install_good(plugins)
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.setenv("PYTHONPATH", str(plugins), prepend=os.pathsep)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE)
    shutil.copy(plugins / "good.safetensors", folder / "best.safetensors")
    yield folder
    for name in ("good_plugin", "good_module", "fine_plugin"):
        sys.modules.pop(name, None)


def score(model: package.ModelPackage, data: str, key: str) -> float:
    """What an evaluation of a run on these images says."""
    found = io.open_dataset(data)
    pairs = [Pair(i.name, found.truth(i), segment(found.image(i), model, device="cpu")) for i in found.items]
    return float(evaluate(pairs, [S()], samples=0).summary[key]["mean"])


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "trials"), [("coordinates", 40), ("grid", 125), ("optuna", 40)])
def test_the_right_thresholds_are_found_and_a_run_with_them_scores_what_was_said(
    run: Path, tmp_path: Path, sampler: str, trials: int
) -> None:
    data, plugins = dataset(tmp_path / "data"), Catalogue()
    model = resolve.load(str(run), plugins)
    found = tune(model, f"{data}:val", plugins, metric="S@0.80", sampler=sampler, trials=trials)
    assert found.before is not None
    assert found.after is not None
    assert found.before < 0.5 < 0.95 < found.after
    assert 0.6 < found.best["foreground"] < 0.7
    assert found.best["min_size"] > 9
    assert found.interval is not None
    assert found.interval[0] > 0
    tuned = model.with_recipe(model.recipe.changed(found.changes, plugins, model.owner))
    assert score(model, f"{data}:val", "S@0.80") == pytest.approx(found.before)
    assert score(tuned, f"{data}:val", "S@0.80") == pytest.approx(found.after)


@pytest.mark.parametrize(("foreground", "chosen"), [(0.66, "bfloat16"), (0.7195, "float32")])
def test_sixteen_bits_are_allowed_where_they_cost_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreground: float, chosen: str
) -> None:
    # Objects are .72, in 16 bits .7186: just above the second threshold, and below it.
    monkeypatch.setattr(sys.modules["toolkit.tune.precision"], "short", lambda _: True)
    data, plugins = f"{dataset(tmp_path / 'data', 3, inside=0.72)}:val", Catalogue()
    model = resolve.load(str(run), plugins)
    start = [f"postprocess.foreground={foreground}", "postprocess.min_size=10"]
    model = model.with_recipe(model.recipe.changed(start, plugins, model.owner))
    found = tune(model, data, plugins, trials=1)
    assert found.precision is not None
    assert found.precision.chosen == found.recipe.tiling.precision == chosen
    assert found.precision.float32["S@0.50"] > 0.95
    fall = {name: value - found.precision.bfloat16[name] for name, value in found.precision.float32.items()}
    assert (max(fall.values()) <= 0.003) == (chosen == "bfloat16")


@pytest.mark.parametrize("change", ["kind=threshold", "kind=watershed", "kind=good", "foreground=0.65"])
def test_objects_of_a_kept_prediction_are_those_of_a_run(run: Path, tmp_path: Path, change: str) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    flat = tmp_path / "data" / "images" / "i0.tif"
    tifffile.imwrite(flat, np.full((96, 110), 40000, np.uint16))
    model = resolve.load(str(run), plugins)
    model = model.with_recipe(model.recipe.changed([f"postprocess.{change}"], plugins, "good"))
    judge = Judge(Work(str(tmp_path), str(data), Model.of(model, Backend()), "S@0.50"))
    images = io.open_dataset(str(data))
    for index, item in enumerate(images.items):
        judge.predict(index)
        expected = segment(images.image(item), model, device="cpu")
        assert judge.objects(model.recipe.postprocess, index) == expected
        assert len(expected) == 0 if item.name == "i0" else len(expected) > 3


def test_what_a_tuning_takes_is_estimated_by_some_of_its_images(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model, seen = dataset(tmp_path / "data", 8), resolve.load(str(run), Catalogue()), []
    now = [0.0]

    def takes(seconds: float, name: str) -> Callable[..., None]:
        def called(self: Judge, what: Any) -> None:
            now[0] += seconds
            seen.append((name, what if name == "predict" else what[1]))

        return called

    monkeypatch.setattr(Judge, "predict", takes(2.0, "predict"))
    monkeypatch.setattr(Judge, "count", takes(0.5, "count"))
    images = len(io.open_dataset(str(data)).items)
    assert rehearse(model, str(data), "S@0.50", Backend(), lambda: now[0]) == Cost()
    assert seen == []
    monkeypatch.setattr(rehearsed, "PART", 4)
    assert rehearse(model, str(data), "S@0.50", Backend(), lambda: now[0]) == Cost(2.5 * images, 0.5 * images)
    assert [index for _, index in seen] == [2, 2, 6, 6]


@pytest.mark.slow
def test_processes_find_what_one_finds_and_nothing_stays_behind(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, plugins = dataset(tmp_path / "data"), Catalogue()
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    model = resolve.load(str(run), plugins)
    alone = tune(model, f"{data}:val", plugins, trials=12)
    together = tune(model, f"{data}:val", plugins, trials=12, processes=2)
    assert together.to_json() | {"seconds": 0} == alone.to_json() | {"seconds": 0}
    assert list(kept.iterdir()) == []


def test_a_value_that_is_an_error_is_made_smaller(run: Path, tmp_path: Path) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    model = resolve.load(str(run), plugins)
    found = tune(model, f"{data}:train", plugins, metric="|DiC|", trials=25)
    assert found.before is not None
    assert found.after is not None
    assert found.after < found.before
    assert found.interval is None


def test_impossible_settings_are_passed_over(run: Path, tmp_path: Path) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    model = resolve.load(str(run), plugins)
    space = {"foreground": Search(0.1, 1.3)}
    found = tune(model, f"{data}:train", plugins, space=space, trials=12)
    impossible = [t for t in found.trials if t.score is None]
    assert impossible
    assert all(t.values["foreground"] >= 1 for t in impossible)
    assert found.best["foreground"] < 1


def test_a_test_split_is_refused_unless_forced(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", 3)
    assert choose(str(data)) == f"{data}:val"
    assert choose(f"{data}:train") == f"{data}:train"
    for where in (f"{data}:test", f"{data}:all"):
        with pytest.raises(UsageError, match="can no longer be measured"):
            choose(where)
    assert choose(f"{data}:test", force=True) == f"{data}:test"
    (data / "splits.json").write_text('{"train": ["i0"], "holdout-TEST": ["i1", "i2"]}')
    for where in (str(data), f"{data}:holdout-TEST"):
        with pytest.raises(UsageError):
            choose(where)
    (data / "splits.json").unlink()
    assert choose(str(data)) == f"{data}:all"


def test_fields_can_be_chosen_and_held(run: Path) -> None:
    model = resolve.load(str(run), Catalogue())
    assert list(tunable(model)) == ["foreground", "min_size"]
    assert list(tunable(model, only=["min_size"])) == ["min_size"]
    assert list(tunable(model, held=["min_size"])) == ["foreground"]
    with pytest.raises(UsageError, match="did you mean 'foreground'"):
        tunable(model, only=["foregruond"])
    with pytest.raises(UsageError, match="every field is held"):
        tunable(model, held=["min_size", "foreground"])
    nothing = model.with_recipe(model.recipe.changed(["postprocess=good"], Catalogue(), "good"))
    with pytest.raises(UsageError, match="declares nothing to tune"):
        tunable(nothing)


def test_images_without_masks_cannot_be_tuned_on(run: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", 3)
    shutil.rmtree(data / "masks")
    with pytest.raises(InputError, match="no mask"):
        tune(resolve.load(str(run), Catalogue()), f"{data}:val", Catalogue())


def test_a_run_keeps_what_was_found_and_what_was_before(run: Path, tmp_path: Path) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    model = resolve.load(str(run), plugins)
    before = (run / "recipe.yaml").read_text()
    found = tune(model, f"{data}:val", plugins, trials=20)
    kept.keep(found, run)
    again = resolve.load(str(run), plugins)
    assert again.recipe == found.recipe != model.recipe
    assert again.recipe.postprocess.model_dump()["foreground"] == found.best["foreground"]
    stored = json.loads((run / "tuned.json").read_text())
    assert [entry["recipe_before"] for entry in stored] == [before]
    kept.keep(found, run)
    stored = json.loads((run / "tuned.json").read_text())
    assert [entry["recipe_before"] for entry in stored] == [before, found.recipe.dump()]
    assert sorted(p.name for p in run.iterdir()) == ["best.safetensors", "recipe.yaml", "tuned.json"]


def test_a_tuned_model_in_a_folder_of_its_own_can_be_run(run: Path, tmp_path: Path) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    model = resolve.load(str(run), plugins)
    found = tune(model, f"{data}:val", plugins, trials=20)
    out = tmp_path / "tuned"
    (tmp_path / "tuned.partial").mkdir()
    (tmp_path / "tuned.partial" / "thesis.txt").write_text("precious")
    kept.save(found, model, out)
    assert [p.name for p in (tmp_path / "tuned.partial").iterdir()] == ["thesis.txt"]
    loaded = resolve.load(str(out), plugins)
    assert loaded.recipe == found.recipe
    assert loaded.sha256 == model.sha256
    assert Recipe.load(run / "recipe.yaml", plugins) == model.recipe
    with pytest.raises(UsageError, match="exists"):
        kept.free(out)


def test_a_damaged_record_is_not_lost(run: Path, tmp_path: Path) -> None:
    data, plugins = dataset(tmp_path / "data", 3), Catalogue()
    (run / "tuned.json").write_text("{")
    before = (run / "recipe.yaml").read_text()
    found = tune(resolve.load(str(run), plugins), f"{data}:val", plugins, trials=3)
    with pytest.raises(InputError, match="damaged"):
        kept.keep(found, run)
    assert (run / "recipe.yaml").read_text() == before


@pytest.mark.parametrize("how", [Search(3, 120, log=True), Search(0.2, 0.8)])
def test_a_value_and_its_place_are_inverse(how: Search) -> None:
    for mark in (0.0, 0.25, 0.5, 1.0):
        assert place(how, value(how, mark)) == pytest.approx(mark, abs=1e-3)
