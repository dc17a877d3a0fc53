"""Blocks, their order and threads change no bit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ppp_scenes import options, scene
from toolkit_ppp import assembly, pane
from toolkit_ppp.patches import read
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend, Prediction
from toolkit.testing import Lattice, assemble, grid, pieces

CPU = Backend()
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def cuts(draw, shape: tuple[int, ...]) -> list[list[int]]:
    """Borders of blocks along each axis."""
    return [[0, *sorted(draw(st.sets(st.integers(1, n - 1), max_size=2))), n] for n in shape]


def same(seen: Prediction, how: PatchPerPix, borders: list[list[int]]) -> None:
    whole = how.assemble(seen, CPU)
    for lattice in (None, Lattice(seen.shape, (5,) * len(seen.shape), (2,) * len(seen.shape))):
        parts = assemble(how, seen, grid(borders), lattice=lattice)
        assert parts == whole
        np.testing.assert_array_equal(parts.scores, whole.scores)


@pytest.mark.slow
@settings(quiet, max_examples=30)
@given(st.integers(0, 999), options(2), st.booleans(), cuts((20, 23)))
def test_blocks_change_nothing_in_2d(seed: int, how: PatchPerPix, crowded: bool, borders: list[list[int]]) -> None:
    same(scene(seed, (20, 23), how.patch, crowded), how, borders)


@pytest.mark.slow
@settings(quiet, max_examples=20)
@given(st.integers(0, 999), options(3), st.booleans(), cuts((6, 9, 11)))
def test_blocks_change_nothing_in_3d(seed: int, how: PatchPerPix, crowded: bool, borders: list[list[int]]) -> None:
    same(scene(seed, (6, 9, 11), how.patch, crowded), how, borders)


def test_the_order_of_the_blocks_changes_nothing() -> None:
    how = PatchPerPix(patch=(7, 5), overlap="highest_probability")
    seen = scene(3, (31, 40), how.patch)
    blocks, kept = grid([[0, 9, 31], [0, 13, 20, 40]]), pieces(how, seen, Lattice(seen.shape, (9, 9), (2, 2)))
    rng = np.random.default_rng(0)
    results = []
    for _ in range(3):
        state = None
        for step in how.passes():
            parts = []
            for k in rng.permutation(len(blocks)):
                outer = blocks[k].core.grow(how.halo(2), within=seen.shape)
                part = kept.read(outer, blocks[k].core)
                parts.append(step.local(part, None if state is None else state.window(outer), CPU))
            state = step.reduce(iter(parts), state, CPU)
        results.append(state)
    assert results[0] == results[1] == results[2] == how.assemble(seen, CPU)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "patch"), [((60, 70), (9, 7)), ((12, 20, 22), (3, 5, 3))])
def test_threads_change_nothing(shape: tuple[int, ...], patch: tuple[int, ...], monkeypatch) -> None:
    how = PatchPerPix(patch=patch, self_pairs=True)
    piece = how.keep(scene(8, shape, patch), CPU)
    # A budget of nothing makes as many panes as can be.
    for budget, threads in ((pane.BUDGET, 1), (pane.BUDGET, 2), (0, 1), (0, 3)):
        monkeypatch.setattr(pane, "BUDGET", budget)
        patches = read(piece, how, CPU, threads)
        first = assembly.scored(piece, patches, how, CPU, threads)
        selection = assembly.selected([first], how)
        edges = assembly.linked(piece, patches, selection, how, CPU, threads).edges
        if (budget, threads) == (pane.BUDGET, 1) and threads == 1 and budget:
            expected, codes = (first, edges), patches.codes
        np.testing.assert_array_equal(patches.codes, codes)
        np.testing.assert_array_equal(first.agreement, expected[0].agreement)
        for name in ("first", "second", "total", "count"):
            np.testing.assert_array_equal(getattr(edges, name), getattr(expected[1], name))


def test_panes_partition_a_box_where_there_are_patches() -> None:
    how = PatchPerPix(patch=(3, 3, 3))
    seen = scene(8, (12, 20, 22), how.patch)
    patches = read(how.keep(seen, CPU), how, CPU)
    times = np.zeros(seen.shape, int)
    for part in pane.split(patches, seen.box, 4):
        times[part.slices] += 1
    assert times.max() == 1
    assert (times[patches.rows >= 0] == 1).all()
    assert len(list(pairwise(pane.split(patches, seen.box, 4)))) > 3
