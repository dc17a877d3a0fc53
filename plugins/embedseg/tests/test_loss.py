"""The loss against the published program's results."""

import numpy as np
import pytest
import torch
from toolkit_embedseg.loss import EmbedSegLoss
from toolkit_embedseg.lovasz import _dense, _sorted, lovasz_hinge, lovasz_softmax

from tests.golden import published
from toolkit.api import Truth

REFERENCE = {"lovasz": "hinge", "var_axes": "mean", "bandwidth_mean": "geometric"}


@pytest.mark.parametrize("weight", [1, 10])
@pytest.mark.parametrize(("case", "grid"), [("a", 1024), ("b", 60)])
def test_loss_and_gradient_equal_those_of_the_published_program(case: str, grid: int, weight: int) -> None:
    data = published("embedseg_loss_2d")
    labels = data[f"{case}_labels"]
    spec = EmbedSegLoss(grid=grid, foreground_weight=weight, **REFERENCE)
    targets = spec.targets(Truth.from_layers(labels[None]))
    # The oracle's centres are given; its program lists them by label as we do.
    centres = np.argwhere(data[f"{case}_center"])
    targets["centres"] = np.array([[labels[tuple(c)], *c] for c in centres], np.int32)
    raw = torch.tensor(data[f"{case}_pred"])[None].requires_grad_()
    heads = {"offsets": raw[:, [1, 0]], "bandwidth": raw[:, [3, 2]], "seediness": raw[:, 4:]}
    terms = spec.build()(heads, {k: torch.from_numpy(v)[None] for k, v in targets.items()})
    total = torch.stack(list(terms.values())).sum()
    total.backward()
    assert total.item() == pytest.approx(float(data[f"{case}_loss_fgw{weight}"]), abs=1e-5)
    assert terms["instance"].item() == pytest.approx(float(data[f"{case}_inst_fgw{weight}"]), abs=1e-5)
    assert terms["seed"].item() == pytest.approx(float(data[f"{case}_seed_fgw{weight}"]), abs=1e-5)
    difference = np.abs(raw.grad[0].numpy() - data[f"{case}_grad_fgw{weight}"])
    assert difference[2:].max() < 1e-5
    # Where two errors tie, a Lovász loss has many subgradients, and rounding decides which one a program gives.
    unique = ~_tied(data[f"{case}_pred"], labels, centres, grid)
    assert unique.mean() > 0.15  # the second case is mostly saturated: memberships of exactly 0 or 1
    assert difference[:2, unique].max() < 1e-5


def _tied(raw: np.ndarray, labels: np.ndarray, centres: np.ndarray, grid: int) -> np.ndarray:
    """Pixels whose error for some object is that of another pixel up to the rounding of float32."""
    yx = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij")).astype(float)
    tied = np.zeros(labels.shape, bool)
    for centre in centres:
        inside = labels == labels[tuple(centre)]
        inverse = np.exp(10 * raw[[3, 2]][:, inside].mean(1, dtype=float))
        gap = (yx - centre[:, None, None]) / (grid - 1) + np.tanh(raw[[1, 0]].astype(float))
        phi = np.exp(-(inverse[:, None, None] * gap**2).sum(0))
        error = np.where(inside, 2 - 2 * phi, 2 * phi).ravel()
        order = np.argsort(error)
        close = np.diff(error[order]) < 4e-7
        flat = np.zeros(error.size, bool)
        flat[order[1:]] |= close
        flat[order[:-1]] |= close
        tied |= flat.reshape(labels.shape) & ((error > 1e-5).reshape(labels.shape))
    return tied


@pytest.mark.parametrize("surrogate", [lovasz_hinge, lovasz_softmax])
def test_lovasz_losses_are_zero_for_a_perfect_mask_and_bounded_by_twice_the_worst(surrogate) -> None:
    inside, one = torch.tensor([True, True, False, False]), torch.zeros(4, dtype=torch.long)
    assert float(surrogate(inside.float(), inside, one, 1)) == 0
    assert float(surrogate((~inside).float(), inside, one, 1)) in (1, 2)


def test_lovasz_softmax_of_a_hard_mask_is_one_minus_its_iou() -> None:
    inside = torch.tensor([True] * 6 + [False] * 6)
    phi = torch.tensor([1.0] * 4 + [0.0] * 2 + [1.0] * 3 + [0.0] * 3)
    assert float(lovasz_softmax(phi, inside, torch.zeros(12, dtype=torch.long), 1)) == pytest.approx(1 - 4 / 9)


@pytest.mark.parametrize("surrogate", [lovasz_hinge, lovasz_softmax])
def test_objects_side_by_side_have_the_losses_that_each_has_alone(surrogate) -> None:
    rng = np.random.default_rng(3)
    phi, inside = torch.tensor(rng.random(60)), torch.tensor(rng.random(60) < 0.5)
    which = torch.tensor(np.sort(rng.choice([0, 1, 3, 4], 60)))
    alone = [surrogate(phi[which == n], inside[which == n], which[which == n] * 0, 1) for n in (0, 1, 3, 4)]
    found = surrogate(phi, inside, which, 5)
    assert found[[0, 1, 3, 4]].numpy() == pytest.approx(torch.cat(alone).numpy(), abs=1e-12)
    assert found[2] == 0


def test_a_card_looks_at_all_pixels_and_finds_those_that_the_cpu_finds() -> None:
    rng = np.random.default_rng(4)
    embedded, centre = torch.tensor(rng.random((2, 500))), torch.tensor(rng.random((2, 7)))
    inverse = torch.tensor(10 ** rng.uniform(1, 4, (2, 7)))
    ways = [way(embedded, centre, inverse) for way in (_dense, _sorted)]
    pairs = [sorted(zip(which.tolist(), pixel.tolist(), strict=True)) for which, pixel in ways]
    assert pairs[0] == pairs[1]
    assert 7 < len(pairs[0]) < 3500


def literal(spec: EmbedSegLoss, raw: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """The equations, object by object and set by set, in double precision."""
    bandwidth, seediness = raw["bandwidth"], 1 / (1 + np.exp(-raw["seediness"][0]))
    place = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"))
    instance, smoothness = [], []
    seed = (seediness[labels == 0] ** 2).sum()
    for row in spec.targets(Truth.from_layers(labels[None]))["centres"]:
        inside = labels == row[0]
        values = bandwidth if spec.bandwidth_mean == "geometric" else np.exp(-5 * bandwidth) / np.sqrt(2)
        means = [axis[inside].mean() for axis in values]
        spread = [((axis[inside] - mean) ** 2).mean() for axis, mean in zip(values, means, strict=True)]
        smoothness.append(sum(spread) if spec.var_axes == "sum" else np.mean(spread))
        inverse = [np.exp(10 * m) if spec.bandwidth_mean == "geometric" else 1 / (2 * m**2) for m in means]
        embedded = place / (spec.grid - 1) + np.tanh(raw["offsets"])
        centre = row[1:] / (spec.grid - 1)
        phi = np.exp(-sum(s * (e - c) ** 2 for s, e, c in zip(inverse, embedded, centre, strict=True)))
        seed += spec.foreground_weight * ((seediness[inside] - phi[inside]) ** 2).sum()
        errors = np.where(inside, 1 - phi, phi) * (2 if spec.lovasz == "hinge" else 1)
        wrong, before, total = np.zeros_like(inside), 0.0, 0.0
        for at in np.argsort(-errors, axis=None):
            wrong.flat[at] = True
            jaccard = wrong.sum() / (inside | wrong).sum()
            total, before = total + errors.flat[at] * (jaccard - before), jaccard
        instance.append(total)
    return {
        "instance": spec.instance_weight * np.mean(instance),
        "smoothness": spec.var_weight * np.mean(smoothness),
        "seed": spec.seed_weight * seed / labels.size,
    }


@pytest.mark.parametrize("lovasz", ["softmax", "hinge"])
@pytest.mark.parametrize("var_axes", ["sum", "mean"])
@pytest.mark.parametrize("bandwidth_mean", ["arithmetic", "geometric"])
def test_the_loss_is_that_of_the_equations_for_all_pairs_of_options(
    lovasz: str, var_axes: str, bandwidth_mean: str
) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (4, 5)), np.ones((3, 3), np.int32)).astype(np.int32)
    raw = {
        "offsets": rng.normal(0, 0.1, (2, *labels.shape)),
        "bandwidth": rng.normal(0.4, 0.1, (2, *labels.shape)),
        "seediness": rng.normal(0, 1, (1, *labels.shape)),
    }
    spec = EmbedSegLoss(grid=40, lovasz=lovasz, var_axes=var_axes, bandwidth_mean=bandwidth_mean)
    targets = {name: torch.from_numpy(t)[None] for name, t in spec.targets(Truth.from_layers(labels[None])).items()}
    terms = spec.build()({name: torch.from_numpy(head)[None] for name, head in raw.items()}, targets)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(literal(spec, raw, labels), rel=1e-3)
