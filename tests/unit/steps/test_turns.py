"""Rotations and flips of windows and heads."""

import numpy as np
import pytest
import torch

from tests.golden import published
from toolkit.steps.turns import Turn, refused, turns
from toolkit.values.prediction import Head


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_average_over_turns_is_that_of_the_published_program(ndim: int) -> None:
    data = published("embedseg_tta")
    x, w, b = (torch.from_numpy(data[f"{name}{ndim}"]) for name in "xwb")
    heads = (Head("offsets", ndim, transform="vector"), Head("bandwidth", ndim, transform="extent"), Head("seed", 1))

    def network(image: torch.Tensor) -> dict[str, torch.Tensor]:
        conv = torch.nn.functional.conv2d if ndim == 2 else torch.nn.functional.conv3d
        raw = torch.tanh(conv(image, w, b, padding=1)) * 3
        # The published order is x, y(, z); ours is that of the array.
        return {
            "offsets": raw[:, :ndim].flip(1),
            "bandwidth": raw[:, ndim : 2 * ndim].flip(1),
            "seed": raw[:, 2 * ndim :],
        }

    every = turns((16,) * ndim, heads)
    assert len(every) == 4 * 2 ** (ndim - 1)
    parts = [{h.name: t.undo_head(network(t.apply(x))[h.name], h) for h in heads} for t in every]
    mean = {name: torch.stack([p[name] for p in parts]).mean(0)[0] for name in parts[0]}
    found = torch.cat([mean["offsets"].flip(0), mean["bandwidth"].flip(0), mean["seed"]])
    expected = data["tta2d"][0] if ndim == 2 else data["tta3d_mean"]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 7), (4, 7, 7)])
def test_undoing_a_turn_gives_the_window_back(shape: tuple[int, ...]) -> None:
    maps = torch.rand(2, 3, *shape)
    for turn in turns(shape, ()):
        assert torch.equal(turn.undo(turn.apply(maps)), maps)


def truth_of(labels: torch.Tensor, head: Head) -> torch.Tensor:
    """What a perfect network would say of a label image `(1, 1, *S)`."""
    ndim = labels.ndim - 2
    axes = torch.meshgrid(*(torch.arange(n) for n in labels.shape[2:]), indexing="ij")
    if head.transform == "vector":
        centre = [a[labels[0, 0] > 0].float().mean() for a in axes]
        return torch.stack([c - a for c, a in zip(centre, axes, strict=True)])[None].double()
    offsets = head.offsets or [
        tuple(o)
        for o in np.stack(np.meshgrid(*(np.arange(p) - p // 2 for p in head.patch), indexing="ij"), -1).reshape(
            -1, ndim
        )
    ]
    dims = list(range(1, 1 + ndim))
    return torch.stack(
        [(labels[:, 0] == torch.roll(labels[:, 0], [-int(v) for v in o], dims)) for o in offsets], 1
    ).double()


@pytest.mark.parametrize(
    "head",
    [
        Head("v", 2, transform="vector"),
        Head("p", 15, transform="patch", patch=(3, 5)),
        Head("p", 25, transform="patch", patch=(5, 5)),
        Head("a", 4, transform="affinity", offsets=((0, 1), (1, 0), (0, -3), (-3, 0))),
        Head("a", 6, transform="affinity", offsets=((-2, 1), (1, 2), (2, 1), (1, -2), (-3, -3), (3, -3))),
    ],
)
def test_a_perfect_network_says_the_same_of_a_turned_window(head: Head) -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(np.kron(rng.integers(0, 3, (6, 6)), np.ones((2, 2), int)))[None, None]
    for turn in turns((12, 12), (head,)):
        turned = turn.apply(labels)
        # Rolling wraps around, and so does the truth here, so the comparison needs no margin.
        assert torch.equal(turn.undo_head(truth_of(turned, head), head), truth_of(labels, head)), turn


def test_axes_of_unequal_extent_never_change_places() -> None:
    assert {t.order for t in turns((8, 16), ())} == {(0, 1)}
    assert {t.order for t in turns((16, 16, 16), ())} == {(0, 1, 2), (0, 2, 1)}
    assert turns((8, 16), ())[0] == Turn((0, 1), (False, False))


@pytest.mark.parametrize(
    ("offsets", "window", "why"),
    [
        (((0, -1), (-1, 0), (-3, 3), (3, 3)), (32, 32), None),
        (((0, -1), (-1, 0), (-3, 3)), (32, 32), "offset [-3, -3] or its opposite, because [-3, 3] becomes [-3, -3]"),
        (((0, -1), (0, -3)), (32, 32), "offset [-3, 0] or its opposite, because [0, -3] becomes [-3, 0]"),
        (((0, -1), (0, -3)), (32, 64), None),
        (((0, -9), (-9, 0)), (32, 32), "at least 18 voxels along axis 0"),
    ],
)
def test_offsets_that_do_not_turn_with_the_window_are_refused(
    offsets: tuple[tuple[int, ...], ...], window: tuple[int, ...], why: str | None
) -> None:
    head = Head("a", len(offsets), transform="affinity", offsets=offsets)
    said = refused(window, (8, 8), (Head("scalar", 1), head))
    assert (said is None) if why is None else (why in (said or ""))
    assert (len(turns(window, (head,))) == (8 if window[0] == window[1] else 4)) == (why is None or "along" in why)


def test_channels_of_directions_change_places_as_the_directions_do() -> None:
    rays = tuple((float(np.sin(a)), float(np.cos(a))) for a in np.arange(8) * np.pi / 4)
    head = Head("rays", 8, transform="directions", directions=rays)
    labels = torch.zeros(1, 1, 9, 9)
    labels[..., 2:5, 3:8] = 1

    def seen(image: torch.Tensor) -> torch.Tensor:
        """Whether the voxel two steps along each ray is inside."""
        steps = [tuple(int(-np.round(2 * v)) for v in ray) for ray in rays]
        return torch.cat([torch.roll(image, step, (2, 3)) for step in steps], 1)

    every = turns((9, 9), (head,))
    assert len(every) == 8
    for turn in every:
        assert torch.equal(turn.undo_head(seen(turn.apply(labels)), head), seen(labels))
    assert refused((9, 9), (0, 0), (head,)) is None
    odd = Head("rays", 3, transform="directions", directions=rays[:3])
    assert "to have the offset" in str(refused((9, 9), (0, 0), (odd,)))


def test_a_head_that_does_not_say_how_it_turns_is_not_turned() -> None:
    head = Head("codes", 5, transform="none")
    assert [turn.turns for turn in turns((8, 8), (head,))] == [False]
    assert refused((8, 8), (0, 0), (head,)) == ("head codes does not say how it turns: leave tiling.augment at none")
