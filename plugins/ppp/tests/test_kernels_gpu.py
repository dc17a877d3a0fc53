"""The same bits on a real GPU as on the CPU."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ppp_equality import CPU, compare, there
from ppp_scenes import options, scene
from toolkit_ppp import panes
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend
from toolkit.testing import need_gpu

pytestmark = pytest.mark.gpu
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.fixture
def gpu() -> Backend:
    return need_gpu()


@settings(quiet, max_examples=40)
@given(st.integers(0, 999), options(2), st.booleans())
def test_2d_equals_the_cpu(gpu, seed, how, crowded) -> None:
    compare(scene(seed, (40, 50), how.patch, crowded), how, gpu)


@settings(quiet, max_examples=20)
@given(st.integers(0, 999), options(3), st.booleans())
def test_3d_equals_the_cpu(gpu, seed, how, crowded) -> None:
    compare(scene(seed, (8, 17, 20), how.patch, crowded), how, gpu)


@pytest.mark.parametrize(("shape", "patch"), [((120, 130), (25, 25)), ((90, 90), (41, 41)), ((20, 30, 31), (9, 9, 9))])
@pytest.mark.parametrize("vote", ["product", "normalised"])
def test_patches_of_the_paper_equal_the_cpu(gpu, shape, patch, vote) -> None:
    compare(scene(0, shape, patch), PatchPerPix(patch=patch, vote=vote, self_pairs=True), gpu)


def test_twice_and_in_panes_is_the_same(gpu, monkeypatch) -> None:
    how = PatchPerPix(patch=(15, 15))
    seen = scene(6, (90, 100), how.patch)
    expected = how.assemble(seen, CPU)
    for budget in (panes.BUDGET, panes.BUDGET, 2**20, 0):
        monkeypatch.setattr(panes, "BUDGET", budget)
        assert how.assemble(there(seen, gpu), gpu) == expected
