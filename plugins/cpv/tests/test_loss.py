"""What the losses minimise, and how their heads turn with the image."""

import numpy as np
import pytest
import torch
from cpv_scenes import labels
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_cpv.affinities import AffinitiesLoss
from toolkit_cpv.cpv import CpvLoss
from toolkit_cpv.gauss import GaussLoss
from toolkit_cpv.sdt import SdtLoss
from toolkit_cpv.three_label import ThreeLabelLoss

from toolkit.api import Head, Loss, Truth
from toolkit.testing import Sample, flip, rotate

LOSSES = (
    ThreeLabelLoss(),
    ThreeLabelLoss(balance="reference"),
    SdtLoss(weight=100),
    AffinitiesLoss(),
    AffinitiesLoss(balance="reference"),
    GaussLoss(),
    CpvLoss(),
    CpvLoss(balance="reference"),
    CpvLoss(radius_um=3.0),
)


def batch(loss: Loss, scenes: list[Truth]) -> dict[str, torch.Tensor]:
    each = [loss.targets(scene) for scene in scenes]
    return {name: torch.from_numpy(np.stack([targets[name] for targets in each])) for name in each[0]}


def scene(seed: int, shape: tuple[int, ...] = (20, 24)) -> Truth:
    image = labels(seed, shape)
    image[labels(seed + 1, shape, 1) > 0] = -1
    return Truth.from_layers(image[None], labels(seed + 2, shape, 1) > 0)


def raw(loss: Loss, scenes: list[Truth], seed: int = 0) -> dict[str, torch.Tensor]:
    maker = torch.Generator().manual_seed(seed)
    return {
        head.name: torch.randn((len(scenes), head.channels, *scenes[0].shape), generator=maker, requires_grad=True)
        for head in loss.heads(scenes[0].ndim)
    }


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("shape", [(20, 24), (8, 14, 12)])
def test_following_the_gradient_lowers_the_loss(loss: Loss, shape: tuple[int, ...]) -> None:
    scenes = [scene(1, shape), scene(5, shape)]
    heads, targets, criterion = raw(loss, scenes), batch(loss, scenes), loss.build()
    before = sum(criterion(heads, targets).values())
    before.backward()
    after = sum(criterion({name: head - 0.5 * head.grad for name, head in heads.items()}, targets).values())
    assert after.item() < before.item()


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_what_is_unknown_has_no_gradient(loss: Loss) -> None:
    truth = scene(3)
    heads = raw(loss, [truth])
    sum(loss.build()(heads, batch(loss, [truth])).values()).backward()
    for name, head in heads.items():
        unknown = ~truth.known if name != "affinities" else truth.void
        assert not head.grad[0][:, torch.from_numpy(unknown)].any(), name
        assert head.grad.any(), name


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_crop_of_which_nothing_is_known_costs_nothing(loss: Loss) -> None:
    truth = Truth.from_layers(np.full((1, 8, 8), 1, np.int32), np.ones((8, 8), bool))
    heads = raw(loss, [truth])
    terms = loss.build()(heads, batch(loss, [truth]))
    sum(terms.values()).backward()
    assert all(term.item() == 0 for term in terms.values())
    assert all(not head.grad.any() for head in heads.values())


def test_the_three_label_loss_is_the_mean_entropy_of_the_known_voxels() -> None:
    truth = scene(7)
    classes = ThreeLabelLoss().targets(truth)["classes"][0]
    heads = raw(ThreeLabelLoss(), [truth])
    (term,) = ThreeLabelLoss().build()(heads, batch(ThreeLabelLoss(), [truth])).values()
    log = torch.log_softmax(heads["three_label"].detach()[0], 0).numpy()
    known = classes >= 0
    expected = -np.take_along_axis(log, np.maximum(classes, 0)[None].astype(int), 0)[0][known].mean()
    assert term.item() == pytest.approx(expected, rel=1e-5)


def test_vectors_count_in_foreground_alone_unless_balanced_as_in_the_reference() -> None:
    truth = Truth.from_layers(labels(2, (20, 24))[None])
    inside = truth.layers[0] > 0
    heads = {"cpv": torch.ones((1, 2, 20, 24))}
    square = (1 - CpvLoss().targets(truth)["cpv"]) ** 2
    (plain,) = CpvLoss().build()(heads, batch(CpvLoss(), [truth])).values()
    assert float(plain) == pytest.approx(square[:, inside].mean(), rel=1e-5)
    (balanced,) = CpvLoss(balance="reference").build()(heads, batch(CpvLoss(), [truth])).values()
    assert float(balanced) == pytest.approx((square * np.where(inside, 1, 0.01)).mean(), rel=1e-5)


def test_balanced_classes_weigh_the_inverse_of_their_share() -> None:
    wanted = torch.tensor([0] * 60 + [1] * 30 + [2] * 10 + [-1] * 50)
    from toolkit_cpv.criteria import balanced

    weight = balanced(wanted, 3)
    for name, share in ((0, 0.6), (1, 0.3), (2, 0.1)):
        np.testing.assert_allclose(weight[wanted == name].numpy(), 1 / (3 * share), rtol=1e-5)


def test_within_the_interval_a_signed_distance_is_no_error() -> None:
    truth = Truth.from_layers(np.ones((1, 9, 9), np.int32))
    low, high = SdtLoss().targets(truth)["sdt"]
    assert low[4, 4] < high[4, 4]
    for value, free in ((low[4, 4], True), (high[4, 4], True), (low[4, 4] - 0.1, False), (high[4, 4] + 0.1, False)):
        heads = {"sdt": torch.zeros((1, 1, 9, 9))}
        heads["sdt"][0, 0, 4, 4] = float(value)
        heads["sdt"].requires_grad_()
        sum(SdtLoss().build()(heads, batch(SdtLoss(), [truth])).values()).backward()
        assert (float(heads["sdt"].grad[0, 0, 4, 4]) == 0) == free


def turned(target: np.ndarray, head: Head, order: tuple[int, ...], mirrored: np.ndarray) -> np.ndarray:
    """A target as the head's `transform` says that it turns: axis a of the result is axis `order[a]`."""
    turn = (slice(None), *(slice(None, None, -1) if m else slice(None) for m in mirrored))
    moved = target.transpose(0, *(a + 1 for a in order))[turn]
    if head.transform == "vector":
        moved = moved[list(order)] * np.where(mirrored, -1, 1).reshape(-1, *(1,) * len(order))
    if head.transform == "affinity":
        # The pair of a voxel with its previous one is, mirrored, that of the previous one with it.
        parts = []
        for a, source in enumerate(order):
            assert head.offsets[source] == tuple(-int(d == source) for d in range(len(order)))
            part = moved[source]
            if mirrored[a]:
                part = np.roll(part, 1, a)
                part[(slice(None),) * a + (0,)] = -2
            parts.append(part)
        moved = np.stack(parts)
    return moved


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(20, 20), (9, 9, 9), (7, 12, 12)]), st.sampled_from(LOSSES))
def test_targets_turn_with_the_image_as_their_heads_say(seed: int, shape: tuple[int, ...], loss: Loss) -> None:
    truth = scene(seed, shape)
    sample = Sample(np.zeros((1, *shape), np.float32), truth)
    rng = np.random.default_rng(seed)
    for augment in (flip, rotate):
        # What the augmentation did, seen on coordinates.
        grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
        state = rng.bit_generator.state
        turned_grid = augment(Sample(grid, truth), rng).voxels
        rng.bit_generator.state = state
        found = augment(sample, rng).truth
        origin = turned_grid[(slice(None), *(0,) * len(shape))]
        steps = [
            turned_grid[(slice(None), *(int(d == a) for d in range(len(shape))))] - origin for a in range(len(shape))
        ]
        order = tuple(int(np.abs(step).argmax()) for step in steps)
        mirrored = np.array([step.sum() < 0 for step in steps])
        before, after = loss.targets(truth), loss.targets(found)
        heads = {head.name: head for head in loss.heads(len(shape))}
        for name, target in before.items():
            head = heads.get(name, Head(name, 1))
            expected = turned(target, head, order, mirrored)
            sure = expected > -2
            if head.transform == "affinity":  # the first voxels know less than any others
                sure &= (expected >= 0) & (after[name] >= 0)
            np.testing.assert_allclose(np.where(sure, after[name], 0), np.where(sure, expected, 0), atol=2e-5)
