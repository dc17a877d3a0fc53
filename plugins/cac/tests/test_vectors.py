"""Each term of vectors is what its equation says, and so is its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from toolkit_cac import vectors
from toolkit_cac.numbered import numbered

from toolkit.api import Truth

WITHIN, BEYOND, CHOSEN = 0.5, 2.0, 0.7
OBJECTS = np.array([1, 1, 1, 2, 2, 0, 3, 3, 3, 3, 0, 0])
INSIDE = np.stack([k == OBJECTS for k in (1, 2, 3)])
REST = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], bool)
"""The last voxel is void."""


def drawn(seed: int = 0, scale: float = 0.8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((12, 4)) * scale


def centres(e: np.ndarray) -> list[np.ndarray]:
    return [e[mask].mean(0) for mask in INSIDE]


def hinge(value: float) -> float:
    return max(0.0, value) ** 2


def literal_pull(e: np.ndarray) -> float:
    total = 0.0
    for mu, mask in zip(centres(e), INSIDE, strict=True):
        total += sum(hinge(np.linalg.norm(mu - e[i]) - WITHIN) for i in np.flatnonzero(mask)) / mask.sum()
    return total / 3


def literal_push(e: np.ndarray) -> float:
    mu, total = centres(e), 0.0
    for k in range(3):
        for m in range(3):
            if k != m:
                total += hinge(2 * BEYOND - np.linalg.norm(mu[k] - mu[m]))
    return total / (3 * 2)


def literal_short(e: np.ndarray) -> float:
    return float(sum(np.linalg.norm(mu) for mu in centres(e)) / 3)


def literal_rest(e: np.ndarray) -> float:
    rest = np.flatnonzero(REST)
    return float(sum(hinge(BEYOND - np.linalg.norm(mu - e[i])) for mu in centres(e) for i in rest) / len(rest) / 3)


def literal_mask(e: np.ndarray, anchor: int) -> np.ndarray:
    two_sigma_squared = -(WITHIN**2) / np.log(CHOSEN)
    return np.array([np.exp(-(np.linalg.norm(v - e[anchor]) ** 2) / two_sigma_squared) for v in e])


def literal_selected(e: np.ndarray) -> float:
    total = 0.0
    for anchor, mask in zip((1, 3, 9), INSIDE, strict=True):
        s, t = literal_mask(e, anchor), mask.astype(float)
        total += 1 - 2 * (s * t).sum() / ((s**2).sum() + (t**2).sum())
    return total / 3


def tensors(e: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    inside = torch.from_numpy(INSIDE)
    mean = vectors.means(e, inside)
    return inside, mean, vectors.distances(mean, e)


def found_pull(e: torch.Tensor) -> torch.Tensor:
    inside, _, distance = tensors(e)
    return vectors.pull(distance, inside, WITHIN)


def found_push(e: torch.Tensor) -> torch.Tensor:
    return vectors.push(tensors(e)[1], BEYOND)


def found_short(e: torch.Tensor) -> torch.Tensor:
    return vectors.short(tensors(e)[1])


def found_rest(e: torch.Tensor) -> torch.Tensor:
    return vectors.push_rest(tensors(e)[2], torch.from_numpy(REST), BEYOND)


def found_selected(e: torch.Tensor) -> torch.Tensor:
    chosen = vectors.masks(e[[1, 3, 9]], e, WITHIN, CHOSEN)
    return vectors.dice(chosen, torch.from_numpy(INSIDE).to(e.dtype)).mean()


TERMS = [
    pytest.param(found_pull, literal_pull, id="pull"),
    pytest.param(found_push, literal_push, id="push"),
    pytest.param(found_short, literal_short, id="short"),
    pytest.param(found_rest, literal_rest, id="rest"),
    pytest.param(found_selected, literal_selected, id="selected"),
]
Found, Literal = Callable[[torch.Tensor], torch.Tensor], Callable[[np.ndarray], float]


@pytest.mark.parametrize(("found", "literal"), TERMS)
def test_a_term_is_what_its_equation_says(found: Found, literal: Literal) -> None:
    for seed in range(5):
        e = drawn(seed)
        assert literal(e) > 0
        assert float(found(torch.from_numpy(e))) == pytest.approx(literal(e), rel=1e-9)


@pytest.mark.parametrize(("found", "literal"), TERMS)
def test_its_gradient_is_the_slope_of_its_equation(found: Found, literal: Literal) -> None:
    e, step = drawn(7), 1e-6
    leaf = torch.from_numpy(e.copy()).requires_grad_()
    (gradient,) = torch.autograd.grad(found(leaf), leaf)
    for place in np.ndindex(*e.shape):
        up, down = e.copy(), e.copy()
        up[place] += step
        down[place] -= step
        assert float(gradient[place]) == pytest.approx((literal(up) - literal(down)) / (2 * step), abs=1e-7)


@pytest.mark.parametrize(("found", "literal"), TERMS)
def test_equal_vectors_have_a_gradient_that_is_a_number(found: Found, literal: Literal) -> None:
    leaf = torch.zeros(12, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(found(leaf), leaf)
    assert torch.isfinite(gradient).all()


def test_what_is_near_and_far_enough_costs_nothing() -> None:
    e = np.zeros((12, 4))
    for k, mask in enumerate(INSIDE):
        e[mask, k] = 2 * BEYOND
    e[REST, 3] = BEYOND
    found = {f.__name__: float(f(torch.from_numpy(e))) for f in (found_pull, found_push, found_rest)}
    assert found == {"found_pull": 0, "found_push": 0, "found_rest": 0}
    assert float(found_selected(torch.from_numpy(e))) < 1e-4


def test_a_mask_is_1_at_its_anchor_and_the_chosen_value_at_the_distance_within() -> None:
    e = torch.tensor([[0.0, 0.0], [0.0, WITHIN], [WITHIN, 0.0], [9.0, 9.0]], dtype=torch.float64)
    assert vectors.masks(e[:1], e, WITHIN, CHOSEN)[0].tolist() == pytest.approx([1, CHOSEN, CHOSEN, 0])


def test_equal_masks_have_no_distance_and_disjoint_ones_all_of_it() -> None:
    one = torch.tensor([[0.3, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert vectors.dice(one, one)[0].item() == pytest.approx(0)
    assert vectors.dice(one, one.flip(1))[0].item() == 1
    assert torch.isfinite(vectors.dice(one, one)).all()


def test_a_single_object_is_pushed_from_no_other() -> None:
    mean = torch.zeros(1, 4, requires_grad=True)
    term = vectors.push(mean, BEYOND)
    assert float(term.detach()) == 0
    assert not torch.autograd.grad(term, mean)[0].any()


def test_the_voxel_that_is_drawn_of_an_object_lies_in_it_and_each_may_be() -> None:
    torch.manual_seed(0)
    seen: list[set[int]] = [set(), set(), set()]
    for _ in range(60):
        for k, place in enumerate(vectors.drawn(torch.from_numpy(INSIDE)).tolist()):
            seen[k].add(place)
    assert seen == [set(np.flatnonzero(mask).tolist()) for mask in INSIDE]


def test_anchors_are_free_voxels_whose_masks_cover_what_is_free() -> None:
    torch.manual_seed(0)
    e = torch.cat([torch.zeros(50, 3), torch.full((30, 3), 5.0), torch.full((20, 3), -5.0)])
    free = torch.ones(100, dtype=torch.bool)
    free[80:] = False
    at = vectors.anchors(e, free, WITHIN, CHOSEN, 9)
    assert sorted(e[at, 0].tolist()) == [0, 5], "one of each kind that is free"
    assert len(vectors.anchors(e, free, WITHIN, CHOSEN, 1)) == 1
    spread = torch.arange(300.0).reshape(100, 3) * 9
    assert len(vectors.anchors(spread, free, WITHIN, CHOSEN, 9)) == 9
    assert len(vectors.anchors(e, torch.zeros(100, dtype=torch.bool), WITHIN, CHOSEN, 9)) == 0


def test_numbers_of_objects_follow_their_places_and_not_their_ids() -> None:
    layers = np.array([[[7, 7, 0, -1, 3, 3]], [[0, 0, 5, -1, 5, 9]]], np.int32)
    expected = [[[1, 1, 0, -1, 3, 3]], [[0, 0, 2, -1, 2, 4]]]
    assert numbered(Truth.from_layers(layers)).tolist() == expected
    other = np.where(layers > 0, 100 - layers, layers)
    assert numbered(Truth.from_layers(other)).tolist() == expected


def test_an_object_under_void_has_no_number() -> None:
    layers = np.array([[[4, 4, 0, -1, 3, 3]]], np.int32)
    void = np.array([[1, 1, 0, 0, 0, 1]], bool)
    assert numbered(Truth.from_layers(layers, void)).tolist() == [[[-2, -2, 0, -1, 1, -2]]]
