"""The branches have the published size, and affinities are products of vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toolkit_cac.loss import CacLoss
from toolkit_cac.network import ResidualUNet
from toolkit_cac.network_module import affinities
from torch.utils.flop_counter import FlopCounterMode

from toolkit.api import Head


@pytest.mark.parametrize("embedding", [None, 16])
def test_branches_have_the_published_parameters_and_multiply_adds(embedding: int | None) -> None:
    heads = CacLoss(foreground=False).heads(3)
    with torch.device("meta"):
        module = ResidualUNet(embedding=embedding).build(1, heads, 3)
        image = torch.zeros(1, 1, 18, 160, 160)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(image)
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(1.48e6, rel=0.02)
    assert counter.get_total_flops() / 2 == pytest.approx(87.3e9, rel=0.01)


@pytest.mark.parametrize(("shape", "offsets"), [
    ((7, 9), ((-1, 0), (0, 2), (3, -4), (-7, 0), (0, 50))),
    ((4, 5, 6), ((-1, 0, 0), (2, -1, 3), (0, 0, -9))),
])  # fmt: skip
def test_an_affinity_is_the_cosine_of_two_vectors_and_0_beyond_the_border(
    shape: tuple[int, ...], offsets: tuple[tuple[int, ...], ...]
) -> None:
    embedding = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, *shape)))
    found = affinities(embedding, offsets)
    assert found.shape == (2, len(offsets), *shape)
    for k, offset in enumerate(offsets):
        for x in np.ndindex(*shape):
            y = tuple(a + o for a, o in zip(x, offset, strict=True))
            inside = all(0 <= a < n for a, n in zip(y, shape, strict=True))
            a, b = embedding[(0, slice(None), *x)], embedding[(0, slice(None), *(y if inside else x))]
            expected = float(a @ b / (a.norm() * b.norm())) if inside else 0.0
            assert abs(float(found[(0, k, *x)]) - expected) <= 1e-9


def test_with_a_reach_an_affinity_tells_how_near_two_vectors_are() -> None:
    embedding = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 4, 5))).requires_grad_()
    (found,) = affinities(embedding, ((-1, 2),), reach=2.0)
    vectors = embedding.detach()[0].numpy()
    for y, x in np.ndindex(4, 5):
        inside = y >= 1 and x + 2 < 5
        gap = np.linalg.norm(vectors[:, y, x] - vectors[:, y - 1, x + 2]) if inside else np.inf
        assert float(found[0, y, x].detach()) == pytest.approx(max(0.0, 1 - gap / 2) ** 2, abs=1e-6)
    same = torch.ones(1, 3, 4, 5, requires_grad=True)
    near = affinities(same, ((0, -1),), reach=2.0)
    assert torch.equal(near[0, 0, :, 1:], torch.ones(4, 4))
    (pull,) = torch.autograd.grad(near.sum(), same)
    assert torch.isfinite(pull).all(), "equal vectors have no direction"


def test_a_bare_network_gives_the_vectors_of_its_pairs() -> None:
    pair = Head("affinities", 2, offsets=((0, -1), (-1, 0)))
    module = ResidualUNet(maps=(4, 6), embedding=5, reach=4.0).build(1, (pair, Head("other", 3)), 2).eval()
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        before = module(image)
        module.bare = True
        heads = module(image)
    assert heads["affinities"].shape == (1, 5, 16, 16)
    assert torch.equal(affinities(heads["affinities"], pair.offsets, 4.0), before["affinities"])
    assert torch.equal(heads["other"], before["other"])


def test_a_branch_of_distances_has_the_parameters_of_one_of_products() -> None:
    one, other = (ResidualUNet(reach=reach).build(1, CacLoss().heads(2), 2) for reach in (None, 4.0))
    assert {n: p.shape for n, p in one.named_parameters()} == {n: p.shape for n, p in other.named_parameters()}


def test_a_head_without_pairs_is_an_output_of_its_own() -> None:
    pair = Head("affinities", 2, offsets=((0, -1), (-1, 0)))
    module = ResidualUNet(maps=(4, 6), embedding=5).build(1, (pair, Head("other", 3)), 2)
    assert module.sizes == [5, 3]
    with torch.no_grad():
        heads = module(torch.rand(1, 1, 16, 16) * 9)
    assert {name: head.shape[1] for name, head in heads.items()} == {"affinities": 2, "other": 3}
    assert float(heads["affinities"].abs().max()) <= 1 + 1e-6


def test_layers_lose_values_only_where_that_is_asked_for() -> None:
    module = ResidualUNet(maps=(4, 6)).build(1, (Head("other", 3),), 2).eval()
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        before, again = module(image)["other"], module(image)["other"]
        module.drop = 0.5
        noisy = module(image)["other"]
    assert torch.equal(before, again)
    assert not torch.equal(before, noisy)


def test_a_network_says_what_is_wrong_with_its_fields() -> None:
    with pytest.raises(ValueError, match="2 entries, 5 levels need one fewer"):
        ResidualUNet(pooling=(2, 2))
    with pytest.raises(ValueError, match="reach is a distance of vectors"):
        ResidualUNet(embedding=None, reach=4.0)
    with pytest.raises(ValueError, match="3 axes, the image has 2"):
        ResidualUNet(maps=(4, 6), pooling=((1, 2, 2),)).stride(2)
