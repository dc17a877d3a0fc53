"""What the published program gave: affinities of an embedding, their loss and its gradient, entropies, targets."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toolkit_cac.criteria import entropy, squared
from toolkit_cac.network_module import affinities
from toolkit_cac.pairs import BEYOND, pairs, usual_pairs

from tests.golden import published
from toolkit.api import Truth, ends

PLANE = 7
SHAPE = (8, 64, 64)


@pytest.fixture(scope="module")
def known() -> dict[str, np.ndarray]:
    return published("cac_embedding_affinity")


@pytest.fixture(scope="module")
def drawn(known: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """The embedding and the weights that the program was given."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedding, weight = torch.randn(1, 4, *SHAPE), torch.rand(1, 12, *SHAPE)
    assert np.array_equal(embedding[:, :, PLANE], known["embedding"]), "torch draws other numbers"
    assert np.array_equal(weight[:, :, PLANE], known["weight"])
    return embedding.requires_grad_(), weight


def shifts(known: dict[str, np.ndarray]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, json.loads(str(known["params"]))["shift"]))


def published_targets(known: dict[str, np.ndarray]) -> torch.Tensor:
    """Those of the program, whose pairs along z are all those of −1."""
    truth = Truth.from_layers(known["labels"][None])
    offsets = [(-1, 0, 0) if offset[0] else offset for offset in usual_pairs(3)]
    return torch.from_numpy(np.stack([pairs(truth, offset, "object") for offset in offsets]))[None]


def test_the_usual_pairs_in_3_d_are_those_of_the_program(known: dict[str, np.ndarray]) -> None:
    assert usual_pairs(3) == shifts(known)


def test_affinities_and_their_entropies_are_those_of_the_program(known: dict[str, np.ndarray], drawn: tuple) -> None:
    with torch.no_grad():
        found = affinities(drawn[0], usual_pairs(3))
    assert np.abs(found[:, :, PLANE].numpy() - known["affs"]).max() <= 1e-5
    assert np.abs(entropy(found.clamp(min=0))[:, :, PLANE].numpy() - known["entropy"]).max() <= 1e-5


def test_loss_and_gradient_are_those_of_the_program(known: dict[str, np.ndarray], drawn: tuple) -> None:
    embedding, weight = drawn
    said, wanted = affinities(embedding, usual_pairs(3)), published_targets(known)
    inside = torch.zeros(wanted.shape, dtype=torch.bool)
    for k, offset in enumerate(usual_pairs(3)):
        inside[(0, k, *ends(SHAPE, offset)[0])] = True
    importance = torch.tensor([10.0] * 3 + [1.0] * 9)
    loss = squared(said, (wanted == 1).float(), weight, inside, importance)
    (gradient,) = torch.autograd.grad(loss, embedding)
    assert abs(float(loss.detach()) - float(known["loss"])) <= 1e-5 * float(known["loss"])
    expected = known["grad"]
    assert np.abs(gradient[:, :, PLANE].numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("background", "name"), [("object", "affs_bgFalse"), ("apart", "affs_bgTrue")])
def test_targets_are_those_of_the_program_but_along_z_at_their_own_offset(
    known: dict[str, np.ndarray], background: str, name: str
) -> None:
    truth = Truth.from_layers(known["labels"][None])
    labels, wrong = known["labels"], 0
    for k, offset in enumerate(usual_pairs(3)):
        found = pairs(truth, offset, background)
        here, there = ends(SHAPE, offset)
        assert (found[here] != BEYOND).all()
        a, b = labels[here], labels[there]
        assert np.array_equal(found[here], (a == b) & ((a > 0) | (background == "object")))
        where = (slice(None),) * 2 if offset[0] else here[1:]
        same = np.array_equal(found[PLANE][where], known[name][k][where])
        assert same or offset[0] < -1, "only those of −2, −3 and −4 along z differ"
        wrong += not same
    # In the plane that is kept, background follows an object: apart from all, it has no pair at any offset.
    assert wrong == (3 if background == "object" else 0)
