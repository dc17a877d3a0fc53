"""The literal float version against the published program and against an independent evaluation of the equations."""

import json

import numpy as np
import ppp_literal as literal
import pytest
from toolkit_ppp.patchperpix import PatchPerPix

from tests.golden import published

PAPER = ["ppp_paper_2d_t05_sparse", "ppp_paper_2d_t05_dense", "ppp_paper_3d_t05_sparse"]
REFERENCE = [
    "ppp_2d_th05_default",
    "ppp_2d_th05_multipass_cover",
    "ppp_2d_th05_probproduct_nonorm",
    "ppp_2d_th07_probproduct",
    "ppp_2d_th09_lessthan_paperworm",
    "ppp_3d_3x3x3",
]


def options(data: dict[str, np.ndarray], **more) -> PatchPerPix:
    """The published program's settings in our words."""
    params = json.loads(str(data["params"]))
    patch = tuple(int(n) for n in data["patchshape"])
    if "t" in params:
        return PatchPerPix(patch=patch, sparse=params["sparse"], overlap="highest_probability")
    return PatchPerPix(
        patch=patch,
        threshold=params["patch_threshold"],
        cover_threshold=params["fc_threshold"],
        cover_steps=(0,) if params["select_patches_for_sparse_data"] else (500, 100, 50, 10, 0),
        vote="product" if params.get("consensus_prob_product") else "normalised",
        background="below_threshold" if params.get("vi_bg_use_less_than_th") else "complement",
        count="decided",
        border="drop",
        paff_count="in_range",
        thin=not params["skipThinCover"],
        **more,
    )


def raster(data: dict[str, np.ndarray], coordinates: np.ndarray) -> list[int]:
    return np.ravel_multi_index(coordinates.astype(int).T, data["foreground"].shape).tolist()


def pixels(masks) -> list[list[int]]:
    return sorted(np.flatnonzero(m).tolist() for m in masks)


@pytest.mark.parametrize("name", PAPER)
def test_every_step_equals_the_equations_evaluated_independently(name: str) -> None:
    data = published(name)
    inside, how = data["foreground"], options(data)
    found = literal.patches(data["pred_affs"], inside, how)
    affinity, count = literal.consensus(found, inside.size, how)
    assert int((np.triu(count, 1) > 0).sum()) == len(data["aff"])
    np.testing.assert_allclose(affinity[data["aff_i"], data["aff_j"]], data["aff"], atol=1e-5)
    np.testing.assert_array_equal(count[data["aff_i"], data["aff_j"]], data["zaff"])
    scores = [literal.score(x, affinity) for x in found]
    centres = [x.centre for x in found]
    assert centres == np.flatnonzero(np.isfinite(data["score"])).tolist()
    np.testing.assert_allclose(scores, data["score"].ravel()[centres], atol=1e-5)
    order, wanted = literal.rank(found, scores), set(np.flatnonzero(inside).tolist())
    taken = literal.cover(found, order, wanted, how)
    assert [centres[k] for k in taken] == data["preselected"].tolist()
    kept = literal.thin(found, taken, order, wanted)
    assert [centres[k] for k in kept] == data["thinned"].tolist()
    by_centre = dict(zip(centres, found, strict=True))
    edges = {}
    for a, b, weight, pairs in data["paff"]:
        ends = sorted((int(a), int(b)))
        got = literal.patch_affinity(by_centre[ends[0]], by_centre[ends[1]], affinity, count, inside.shape, how)
        assert got == (pytest.approx(weight, abs=1e-5), pairs)
        edges[tuple(ends)] = got[0]
    clusters = literal.components([centres[k] for k in kept], edges)
    instances = literal.label(found, order, clusters, how)
    truth = data["instances"]
    assert sorted(map(sorted, instances)) == pixels(truth == k for k in np.unique(truth[truth > 0]))


@pytest.mark.parametrize("name", REFERENCE)
def test_every_step_equals_the_published_program(name: str) -> None:
    data = published(name)
    inside, how = data["foreground"], options(data)
    found = literal.patches(data["pred_affs"], inside, how)
    affinity, count = literal.consensus(found, inside.size, how)
    index = np.argwhere(data["consensus_cnt"] > 0)
    y = raster(data, index[:, 3:])
    z = raster(data, index[:, 3:] + index[:, :3] - np.array(how.patch) + 1)
    assert int((np.triu(count, 1) > 0).sum()) == len(index)
    np.testing.assert_allclose(affinity[y, z], data["consensus"][tuple(index.T)], atol=1e-5)
    np.testing.assert_array_equal(count[y, z], data["consensus_cnt"][tuple(index.T)])
    centres = [x.centre for x in found]
    scores = [literal.score(x, affinity) for x in found]
    np.testing.assert_allclose(scores, data["scores"].ravel()[centres], atol=1e-5)
    # Scores that tie up to rounding may come in another order, so selection starts from the published ranking.
    place = {centre: k for k, centre in enumerate(centres)}
    order, wanted = [place[c] for c in raster(data, data["ranked_coords"])], set(np.flatnonzero(inside).tolist())
    assert sorted(order) == sorted(literal.rank(found, scores))
    taken = literal.cover(found, order, wanted, how)
    assert sorted(centres[k] for k in taken) == sorted(raster(data, data["preselected"]))
    kept = literal.thin(found, taken, order, wanted) if how.thin else taken
    assert sorted(centres[k] for k in kept) == sorted(raster(data, data["thinned"]))


@pytest.mark.parametrize("name", [n for n in REFERENCE if "2d" in n])
def test_patch_affinities_equal_the_published_program(name: str) -> None:
    data = published(name)
    how = options(data)
    found = {x.centre: x for x in literal.patches(data["pred_affs"], data["foreground"], how)}
    affinity, count = literal.consensus(list(found.values()), data["foreground"].size, how)
    ends = zip(raster(data, data["pairs"][:, :3]), raster(data, data["pairs"][:, 3:]), strict=True)
    got = [
        literal.patch_affinity(found[a], found[b], affinity, count, data["foreground"].shape, how)[0] for a, b in ends
    ]
    np.testing.assert_allclose(got, data["patch_affinity"], atol=1e-5)


@pytest.mark.parametrize("name", REFERENCE)
def test_partition_and_instances_equal_the_published_program(name: str) -> None:
    data = published(name)
    how = options(data)
    ends = zip(raster(data, data["pairs"][:, :3]), raster(data, data["pairs"][:, 3:]), strict=True)
    weights = data["patch_affinity"].tolist()
    edges = {(min(e), max(e)): w for e, w in zip(ends, weights, strict=True) if e[0] != e[1]}
    nodes = raster(data, data["thinned"])
    for partition, key in ((literal.components, "cc_nodes"), (literal.mutex, "mws_nodes")):
        named = list(zip(data[key][:, 0].tolist(), raster(data, data[key][:, 1:]), strict=True))
        theirs = {frozenset(c for n, c in named if n == name) for name in {n for n, _ in named}}
        # The published mutex watershed forgets nodes that have repulsive edges only.
        lost = set(nodes) - {c for _, c in named}
        assert partition(nodes, edges) == theirs | {frozenset([c]) for c in lost}
    # The published program does not clip instances to the image foreground.
    whole = literal.patches(data["pred_affs"], data["foreground"], how.model_copy(update={"sparse": False}))
    instances = literal.label(whole, list(range(len(whole))), literal.components(nodes, edges), how)
    assert sorted(map(sorted, instances)) == pixels(data["instances_cc_channels"])
