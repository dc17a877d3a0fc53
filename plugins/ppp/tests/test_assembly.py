"""The fast integer assembly against its literal definition, pair by pair."""

from fractions import Fraction

import numpy as np
import ppp_literal as literal
import ppp_literal_integer as literal_integer
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ppp_scenes import options, prediction, scene
from toolkit_ppp import assembly
from toolkit_ppp.patches import read
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend, Instances, Prediction

CPU = Backend()
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def compare(seen: Prediction, how: PatchPerPix) -> None:
    """Every intermediate result, exactly."""
    piece = how.keep(seen, CPU)
    patches = read(piece, how, CPU)
    inside, centred = piece.mask(), patches.rows.reshape(piece.box.shape) >= 0
    scores, nodes, edges, _, instances = literal_integer.assemble(seen["patches"], inside, how, inside & ~centred)
    first = assembly.scored(piece, patches, how, CPU)
    got = zip(first.centres.tolist(), first.agreement.tolist(), first.pairs.tolist(), strict=True)
    assert {c: Fraction(a, 16384 * n) if n else Fraction(0) for c, a, n in got} == scores
    selection = assembly.selected([first], how)
    assert selection.centres.tolist() == nodes
    second = assembly.linked(piece, patches, selection, how, CPU)
    ends = zip(second.edges.first.tolist(), second.edges.second.tolist(), strict=True)
    weights = zip(second.edges.total.tolist(), second.edges.count.tolist(), strict=True)
    assert {e: (Fraction(t, 16384 * n), n) for e, (t, n) in zip(ends, weights, strict=True)} == edges
    result = assembly.assembled([second], selection, how)
    assert sorted(result.voxels(k).tolist() for k in range(len(result))) == sorted(map(sorted, instances))
    assert how.assemble(seen, CPU) == result


@pytest.mark.slow
@settings(quiet, max_examples=40)
@given(st.integers(0, 999), options(2), st.booleans())
def test_2d_equals_the_literal_integer_version(seed: int, how: PatchPerPix, crowded: bool) -> None:
    compare(scene(seed, (12, 14), how.patch, crowded), how)


@pytest.mark.slow
@settings(quiet, max_examples=12)
@given(st.integers(0, 999), options(3), st.booleans())
def test_3d_equals_the_literal_integer_version(seed: int, how: PatchPerPix, crowded: bool) -> None:
    compare(scene(seed, (3, 7, 8), how.patch, crowded), how)


@settings(quiet, max_examples=10)
@given(st.integers(0, 999), options(2))
def test_2d_is_3d_with_one_plane(seed: int, how: PatchPerPix) -> None:
    flat = scene(seed, (12, 14), how.patch)
    heads = {"patches": flat["patches"][:, None]}
    deep = Prediction(heads, *[type(flat.box).whole((1, 12, 14))] * 2, (1, 12, 14))
    thick = PatchPerPix(**{**how.model_dump(), "patch": (1, *how.patch)})
    a, b = how.assemble(flat, CPU), thick.assemble(deep, CPU)
    np.testing.assert_array_equal(a.layers(), b.layers()[:, 0])
    np.testing.assert_array_equal(a.scores, b.scores)


@pytest.mark.parametrize("vote", ["product", "normalised"])
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_integers_stay_near_floats(vote: str, threshold: float) -> None:
    how = PatchPerPix(patch=(7, 7), vote=vote, threshold=threshold)
    seen = scene(5, (24, 30), how.patch)
    piece = how.keep(seen, CPU)
    inside = piece.mask()
    exact = literal.patches(seen["patches"], inside, how)
    affinity, _ = literal.consensus(exact, inside.size, how)
    rounded, _ = literal_integer.consensus(literal_integer.patches(seen["patches"], inside, how), how)
    bound = 2 / (510 * (1 - threshold**2 if vote == "normalised" else 1)) + 2**-15
    pairs = np.array(list(rounded))
    worst = np.abs(affinity[pairs[:, 0], pairs[:, 1]] - np.array(list(rounded.values())) / 16384).max()
    assert 0 < worst <= bound
    first = assembly.scored(piece, read(piece, how, CPU), how, CPU)
    scores = first.agreement / (16384 * np.maximum(first.pairs, 1))
    assert np.abs(scores - [literal.score(x, affinity) for x in exact]).max() <= bound


def test_the_input_is_not_touched() -> None:
    how = PatchPerPix(patch=(5, 5))
    seen = scene(1, (20, 24), how.patch)
    before = seen["patches"].copy()
    how.assemble(seen, CPU)
    np.testing.assert_array_equal(seen["patches"], before)


def test_an_empty_foreground_gives_no_instances() -> None:
    how = PatchPerPix(patch=(3, 3, 3))
    seen = scene(1, (4, 5, 6), how.patch)
    seen["patches"][:] = 0
    assert len(how.assemble(seen, CPU)) == 0


def test_touching_objects_come_apart_and_crossing_ones_overlap() -> None:
    planes = np.zeros((2, 30, 30), bool)
    planes[0, 13:17, 2:28] = planes[1, 2:28, 13:17] = True
    patch = (13, 13)
    target = np.zeros((169, 30, 30), np.float32)
    own = np.where(planes.sum(0) == 1, planes.argmax(0), 0)
    padded = np.pad(planes, [(0, 0), (6, 6), (6, 6)])
    for c, (dy, dx) in enumerate(np.ndindex(*patch)):
        moved = padded[:, dy : dy + 30, dx : dx + 30]
        target[c] = np.take_along_axis(moved, own[None], 0)[0] & planes.any(0)
    count = planes.sum(0)
    heads = {"patches": target, "numinst": np.stack([count == 0, count == 1, count == 2]).astype(np.float32)}
    found = PatchPerPix(patch=patch).assemble(prediction(heads), CPU)
    truth = Instances.from_planes(planes)
    a, b, shared = found.intersections(truth)
    union = found.sizes[a] + truth.sizes[b] - shared
    assert len(found) == 2
    assert sorted(zip(a[shared / union > 0.9], b[shared / union > 0.9], strict=True)) == [(0, 0), (1, 1)]
    assert found.overlapping_pairs()[2].sum() > 8
    assert found.scores.min() > 0.8
