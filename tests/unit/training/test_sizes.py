"""Sizes of objects that a training stores: those of its own data, whatever the recipe knows of other weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.samples import nuclei
from toolkit.io import open_dataset
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe, recipe_named
from toolkit.steps.sizes import Sizes, diameters
from toolkit.training.begin import begin
from toolkit.training.sizes import PRECISION, SIZES, learnt, unmeasured

SMALL = (
    "network={kind: erfnet, width: 0.1, dropout: 0}", "training.crop=[32, 32]", "training.batch=1",
    "tiling.window=[64, 64]", "tiling.overlap=16", "postprocess.min_size=5",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nuclei(tmp_path_factory.mktemp("nuclei") / "data", train=2, val=1)


def true(data: Path) -> Sizes:
    train = open_dataset(f"{data}:train")
    found = [diameters(train.truth(item).instances.sizes, 2) for item in train.items]
    return Sizes.of(np.concatenate(found))


def stored(run: Path) -> Sizes:
    return Sizes(**yaml.safe_load((run / "recipe.yaml").read_text())["input"]["diameter_px"])


def test_what_a_recipe_knows_of_its_own_weights_is_measured_anew() -> None:
    shipped, _ = recipe_named("embedseg", Catalogue())
    assert shipped.input.diameter_px is not None
    assert shipped.tiling.precision == "bfloat16"
    plain = unmeasured(shipped, ())
    assert (plain.input.diameter_px, plain.tiling.precision) == (None, "float32")
    held = unmeasured(shipped, {SIZES, PRECISION})
    assert held == shipped


@pytest.mark.slow
def test_a_training_stores_the_sizes_of_its_own_objects(data: Path, tmp_path: Path) -> None:
    def train(out: str, *changes: str, **more: str) -> Path:
        begin(data, tmp_path / out, Catalogue(), changes=[*SMALL, *changes], steps=1, threads=1, **more)
        return tmp_path / out

    own = train("own", plugin="embedseg")
    assert stored(own) == true(data)
    said = train("said", "input.diameter_px={low: 3, median: 4, high: 5}", plugin="embedseg")
    assert stored(said) == Sizes(low=3, median=4, high=5)
    # What was learnt before is known as well.
    begin(data, tmp_path / "on", Catalogue(), model=said, steps=1, threads=1)
    assert stored(tmp_path / "on") == true(data).model_copy(update={"low": 3.0})


def test_the_range_holds_what_was_learnt_before(data: Path) -> None:
    recipe = Recipe.parse({"name": "a", "network": {"kind": "unet"}, "loss": {"kind": "bce_dice"},
                           "postprocess": {"kind": "threshold"}}, Catalogue(allow=()))  # fmt: skip
    found = learnt(recipe, open_dataset(f"{data}:train"), Sizes(low=1.0, median=2.0, high=500.0)).input.diameter_px
    assert found == true(data).model_copy(update={"low": 1.0, "high": 500.0})
