"""The U-Net and its loss, beyond what the conformance tests ask of every network and loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from pydantic import ValidationError
from scipy import ndimage

from toolkit.builtin.losses.bce_dice import UNKNOWN, BceDice
from toolkit.builtin.networks.unet import UNet
from toolkit.testing.strategies import labels
from toolkit.values.prediction import Head
from toolkit.values.truth import UNANNOTATED, Truth


def test_the_stride_is_the_product_of_the_steps() -> None:
    assert UNet().stride(2) == (8, 8)
    assert UNet(maps=(4, 8, 16), strides=((1, 2, 2), 2)).stride(3) == (2, 4, 4)


def test_strides_fit_levels_and_axes_or_are_refused() -> None:
    with pytest.raises(ValidationError, match="strides has 1 entries, 3 levels need one fewer"):
        UNet(maps=(4, 8, 16), strides=(2,))
    with pytest.raises(ValueError, match="a step for 3 axes, the image has 2"):
        UNet(maps=(4, 8), strides=((1, 2, 2),)).stride(2)


def test_all_heads_leave_by_one_convolution() -> None:
    heads = (Head("a", 2), Head("b", 3, initial=1.5))
    module = UNet(maps=(4, 8)).build(1, heads, 2)
    assert module.out.weight.shape == (5, 4, 1, 1)
    assert module.out.bias[2:].tolist() == [1.5] * 3
    assert not module.out.weight[2:].any()
    assert module.out.weight[:2].any()


def test_every_map_and_unit_counts() -> None:
    def size(**fields: object) -> int:
        module = UNet(**fields).build(1, (Head("a", 1),), 2)
        return sum(parameter.numel() for parameter in module.parameters())

    assert size(maps=(4, 8)) < size(maps=(4, 16)) < size(maps=(4, 16, 32))
    assert size(maps=(4, 8), units=0) < size(maps=(4, 8), units=2)


@settings(max_examples=60, deadline=None)
@given(image=labels())
def test_the_boundary_is_what_erosion_takes_from_each_object(image: np.ndarray) -> None:
    rim = np.zeros(image.shape, bool)
    for label in np.unique(image[image > 0]):
        # Beyond the border of the crop nothing is known, so the border is no rim.
        rim |= (image == label) & ~ndimage.binary_erosion(image == label, border_value=1)
    targets = BceDice(boundary=True).targets(Truth.from_layers(image[None]))
    assert np.array_equal(targets["boundary"][0], rim)
    assert np.array_equal(targets["foreground"][0], image > 0)


def test_overlapping_objects_keep_their_whole_rims() -> None:
    layers = np.zeros((2, 5, 9), np.int32)
    layers[0, :, :6], layers[1, :, 3:] = 1, 2
    boundary = BceDice(boundary=True).targets(Truth.from_layers(layers))["boundary"][0]
    assert boundary[0].tolist() == [0, 0, 0, 1, 0, 1, 0, 0, 0]


def test_what_is_unknown_is_marked() -> None:
    image = np.array([[1, 1, 0, UNANNOTATED, 0, 2, 2, 2]], np.int32)
    void = np.zeros(image.shape, bool)
    void[0, 6:] = True
    targets = BceDice(boundary=True).targets(Truth.from_layers(image[None], void))
    assert targets["foreground"][0, 0].tolist() == [1, 1, 0, UNKNOWN, 0, 1, UNKNOWN, UNKNOWN]
    assert targets["boundary"][0, 0].tolist() == [0, 1, 0, UNKNOWN, 0, 1, UNKNOWN, UNKNOWN]


def test_an_object_whose_neighbour_is_void_may_or_may_not_end_there() -> None:
    image = np.array([[1, 1, 0]], np.int32)
    truth = Truth.from_layers(image[None], np.array([[False, False, True]]))
    assert BceDice(boundary=True).targets(truth)["boundary"][0, 0].tolist() == [0, UNKNOWN, UNKNOWN]


def test_the_loss_is_cross_entropy_plus_dice_of_the_known_voxels() -> None:
    raw = torch.tensor([[[[2.0, -1.0, 0.5, 3.0]]]])
    targets = {"foreground": torch.tensor([[[[1, 0, 1, UNKNOWN]]]], dtype=torch.int8)}
    terms = BceDice(dice=0.5).build()({"foreground": raw}, targets)
    p, t = torch.sigmoid(raw[..., :3]).flatten(), torch.tensor([1.0, 0.0, 1.0])
    bce = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    assert float(terms["foreground_bce"]) == pytest.approx(float(bce), rel=1e-6)
    assert float(terms["foreground_dice"]) == pytest.approx(0.5 * float(dice), rel=1e-6)
    assert set(BceDice(dice=0).build()({"foreground": raw}, targets)) == {"foreground_bce"}


def test_a_batch_is_judged_image_by_image() -> None:
    raw = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    wanted = (torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1)) > 0).to(torch.int8)
    module = BceDice().build()
    together = module({"foreground": raw}, {"foreground": wanted})["foreground_dice"]
    alone = [
        module({"foreground": raw[i : i + 1]}, {"foreground": wanted[i : i + 1]})["foreground_dice"] for i in (0, 1)
    ]
    assert float(together) == pytest.approx(float(sum(alone)) / 2, rel=1e-6)
