"""What a training step takes of memory, measured in a process of its own, with the network of the paper."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from toolkit.gpu.backend import Backend
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.training.footprint import footprint

STEPS = """
import json, sys
from pathlib import Path
import numpy as np, torch
from toolkit.gpu.backend import Backend
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.testing.scenes import blobs
from toolkit.training.criterion import Criterion
from toolkit.training.step import descend, optimiser
from toolkit.training.team import Team
from toolkit.values.truth import Truth

catalogue = Catalogue()
owner, path = catalogue.locate("recipes", sys.argv[1], "embedseg")
recipe = Recipe.load(path, catalogue, owner, ["training.batch=1"])
torch.set_num_threads(1)
phase, = recipe.loss.phases()
team, criterion = Team(recipe, Backend()), Criterion(recipe, phase, Backend())
scene = blobs(recipe.training.crop, radius=(8, 12), seed=1)
targets = {f"0.{k}": v[None] for k, v in recipe.loss.targets(scene.truth).items()}
batch = {"voxels": scene.image.read()[None].astype(np.float32) / 255, **targets}
updates = optimiser(recipe.training, team.enter(phase, lambda name: ()))
def peak():  # in KiB; ru_maxrss would include the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
descend(criterion, team, updates, [batch], 0, Backend())
print(json.dumps([before, peak(), len(scene.truth.ids)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(("name", "most"), [("embedseg-paper", 1.0), ("embedseg-3d-paper", 7.0)])
def test_a_crop_of_the_paper_trains_in_the_memory_that_was_promised(name: str, most: float) -> None:
    done = subprocess.run([sys.executable, "-c", STEPS, name], capture_output=True, text=True, check=True)
    before, peak, objects = json.loads(done.stdout)
    catalogue = Catalogue()
    owner, path = catalogue.locate("recipes", name, "embedseg")
    recipe = Recipe.load(path, catalogue, owner)
    told = footprint(recipe, Backend()).bytes(recipe.training.crop, 1)
    sys.stderr.write(f"{name}: peak {peak / 2**20:.2f} GiB, {objects} objects, told {told / 2**30:.2f} GiB\n")
    assert objects > 5
    assert peak * 1024 < most * 1e9
    assert 0.6 * (peak - before) * 1024 < told < 3 * (peak - before) * 1024
