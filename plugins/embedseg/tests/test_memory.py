"""What a training step takes of memory, measured in a process of its own, with the network of the paper."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from toolkit.api import Backend
from toolkit.testing import Catalogue, Recipe, footprint

STEPS = """
import json, sys
from pathlib import Path
import torch
from toolkit.testing import Catalogue, Recipe, blobs, one_step

catalogue = Catalogue()
owner, path = catalogue.locate("recipes", sys.argv[1], "embedseg")
recipe = Recipe.load(path, catalogue, owner, ["training.batch=1"])
torch.set_num_threads(1)
scene = blobs(recipe.training.crop, radius=(8, 12), seed=1)
step = one_step(recipe, scene)
def peak():  # in KiB; ru_maxrss would include the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
step()
print(json.dumps([before, peak(), len(scene.truth.ids)]))
"""


@pytest.mark.slow
@pytest.mark.linux
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
