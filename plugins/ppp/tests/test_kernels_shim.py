"""The CUDA sources, run on the CPU, against the CPU's own functions."""

import numpy as np
import ppp_device
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ppp_device import device
from ppp_scenes import options, scene
from toolkit_ppp import assembly, graph, panes, rank
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.errors import OutOfMemory
from toolkit.gpu.backend import Backend
from toolkit.prediction import Prediction
from toolkit.testing.blockwise import assemble, grid, prediction
from toolkit.tiles import Box

CPU = Backend()
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def there(seen: Prediction, gpu: Backend) -> Prediction:
    """The same heads on the device."""
    return prediction(dict(seen.heads), backend=gpu)


def compare(seen: Prediction, how: PatchPerPix, seed: int = 0) -> None:
    """Every result that either backend has, exactly."""
    patches = assembly.read(seen, how, CPU)
    first = assembly.scored(seen, patches, how, CPU)
    selection = assembly.selected([first], how)
    second = assembly.linked(seen, patches, selection, how, CPU)
    with device(seed) as gpu:
        far = there(seen, gpu)
        codes = assembly.read(far, how, gpu)
        one = assembly.scored(far, codes, how, gpu)
        two = assembly.linked(far, codes, selection, how, gpu)
        for name in ("centres", "rows", "codes", "inside"):
            np.testing.assert_array_equal(gpu.to_numpy(getattr(codes, name)), getattr(patches, name))
        for name in ("centres", "agreement", "pairs", "members", "covers", "inside"):
            assert getattr(one, name).dtype == getattr(first, name).dtype
            np.testing.assert_array_equal(getattr(one, name), getattr(first, name))
        for name in ("first", "second", "total", "count"):
            np.testing.assert_array_equal(getattr(graph.Edges.merge([two.edges]), name), getattr(second.edges, name))
        np.testing.assert_array_equal(two.centres, second.centres)
        np.testing.assert_array_equal(two.values, second.values)
        assert how.assemble(far, gpu) == how.assemble(seen, CPU)


@settings(quiet, max_examples=25)
@given(st.integers(0, 999), options(2), st.booleans())
def test_2d_kernels_equal_the_cpu(seed: int, how: PatchPerPix, crowded: bool) -> None:
    compare(scene(seed, (12, 14), how.patch, crowded), how, seed)


@settings(quiet, max_examples=15)
@given(st.integers(0, 999), options(3), st.booleans())
def test_3d_kernels_equal_the_cpu(seed: int, how: PatchPerPix, crowded: bool) -> None:
    compare(scene(seed, (4, 7, 9), how.patch, crowded), how, seed)
