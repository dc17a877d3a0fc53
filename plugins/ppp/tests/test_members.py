"""The true patches, against a comparison of every pair."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from toolkit_ppp.kept import coded
from toolkit_ppp.members import Members
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend


def literal(layers: np.ndarray, void: np.ndarray, pixel: tuple[int, ...], patch: tuple[int, ...]):
    """For each offset: does it share an object with the pixel, and is that known?"""
    wanted, known = [], []

    def unannotated(at: tuple[int, ...]) -> bool:
        return bool((layers[:, *at] == -1).any() and not (layers[:, *at] > 0).any())

    for offset in product(*(range(-(n // 2), n // 2 + 1) for n in patch)):
        other = tuple(p + o for p, o in zip(pixel, offset, strict=True))
        inside = all(0 <= o < n for o, n in zip(other, void.shape, strict=True))
        if not inside or void[other]:
            wanted.append(0.0)
            known.append(False)
            continue
        one, two = ({int(i) for i in layers[:, *at] if i > 0} for at in (pixel, other))
        wanted.append(float(bool(one & two)))
        known.append(not (unannotated(pixel) and unannotated(other)))
    return wanted, known


@pytest.mark.parametrize(("shape", "patch"), [((9, 11), (5, 3)), ((5, 6, 7), (3, 3, 5)), ((4, 4), (9, 9))])
def test_patches_are_those_of_every_pair(shape: tuple[int, ...], patch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    layers = rng.integers(-1, 3, (2, 2, *shape)).astype(np.int32)
    layers[:, 1] = np.where(layers[:, 1] > 0, layers[:, 1] + 10, 0)
    void = rng.random((2, *shape)) < 0.1
    members = Members(torch.from_numpy(layers), torch.from_numpy(void), patch)
    pixels = members.pixels("everywhere", None)
    covered = (layers > 0).sum(1)
    assert pixels.tolist() == np.flatnonzero(~void & (covered < 2)).tolist()
    wanted, known = members.patches(pixels, "keep")
    for row, flat in enumerate(pixels.tolist()):
        image, *pixel = np.unravel_index(flat, void.shape)
        expected = literal(layers[image], void[image], tuple(pixel), patch)
        assert known[row].tolist() == expected[1]
        assert wanted[row][known[row]].tolist() == np.array(expected[0])[expected[1]].tolist()


def test_drop_leaves_out_members_of_several_objects() -> None:
    layers = torch.tensor([[[1, 1, 1, 0]], [[0, 2, 2, 2]]], dtype=torch.int32)[None]
    members = Members(layers, torch.zeros(1, 1, 4, dtype=torch.bool), (1, 3))
    pixels = members.pixels("foreground", None)
    assert pixels.tolist() == [0, 3]
    wanted, known = members.patches(pixels, "keep")
    assert wanted.tolist() == [[0, 1, 1], [1, 1, 0]]
    assert known.tolist() == [[False, True, True], [True, True, False]]
    assert members.patches(pixels, "drop")[1].tolist() == [[False, True, False], [False, True, False]]


def test_pixels_are_drawn_by_chance_but_by_the_seed() -> None:
    layers = torch.ones(1, 1, 20, 20, dtype=torch.int32)
    members = Members(layers, torch.zeros(1, 20, 20, dtype=torch.bool), (3, 3))
    torch.manual_seed(0)
    one = members.pixels("foreground", 50)
    torch.manual_seed(0)
    assert torch.equal(one, members.pixels("foreground", 50))
    assert not torch.equal(one, members.pixels("foreground", 50))
    assert len(one) == 50


def test_a_pixel_takes_part_up_to_the_threshold_of_several_objects() -> None:
    several = np.array([0.4, 0.5, 0.6], np.float32)
    found = coded(np.zeros((3, 9), np.float32), several, PatchPerPix(patch=(3, 3), overlap_threshold=0.5), Backend())
    assert found["centred"].tolist() == [True, True, False]
