"""PatchPerPix assembly on a GPU, patches on the device, at the five sizes of the paper.

make bench-gpu
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from toolkit.gpu.backend import Backend
from toolkit.testing.gpu import need_gpu
from toolkit.values.prediction import Prediction

from .ppp_scenes import problems

pytestmark = pytest.mark.gpu


@pytest.fixture
def gpu() -> Backend:
    return need_gpu()


@pytest.mark.parametrize("name", list(problems()))
def test_assembly_at_the_sizes_of_the_paper(name: str, gpu: Backend) -> None:
    import cupy

    problem = problems()[name]
    cores, passes = list(problem.cores()), problem.options.passes()
    seen = [_there(problem.predict(core), gpu) for core in cores] if len(cores) == 1 else []
    runs = []
    # The first compiles.
    for _ in range(5 if seen else 2):
        state: Any = None
        spent = 0.0
        for step in passes:
            parts = []
            for n, core in enumerate(cores):
                block = seen[n] if seen else _there(problem.predict(core), gpu)
                cupy.cuda.Device().synchronize()
                began = time.perf_counter()
                parts.append(step.local(block, state and state.window(block.box), gpu))
                spent += time.perf_counter() - began
            began = time.perf_counter()
            state = step.reduce(parts, state, gpu)
            spent += time.perf_counter() - began
        runs.append(spent)
    best, spread = np.min(runs[1:]), np.ptp(runs[1:])
    about = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    paper = problem.paper * problem.share
    print(
        f"\n{name:10} {'×'.join(map(str, problem.shape)):>11}: {best:7.3f} s (spread {spread:.3f} s) on {about}, "
        f"{len(state)} instances; paper's GPU {paper:5.1f} s, ×{paper / best:.0f}"
    )
    assert len(state) > 0


def _there(seen: Prediction, gpu: Backend) -> Prediction:
    """The same heads on the device."""
    heads = {name: gpu.asarray(head) for name, head in seen.heads.items()}
    return Prediction(heads, seen.box, seen.core, seen.shape, seen.voxel_size)
