"""A truth that is none is said: an image, or a mask that nobody labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from tests.unit.scenes import labels
from toolkit.cli import main
from toolkit.evaluation.pieces import doubt
from toolkit.values.truth import Truth

SPOTS = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8))).astype(np.int32)
"""Squares that touch at their corners would be one piece, so that they are shrunk."""
MASK = ndimage.binary_erosion(SPOTS).astype(np.int32)
NOISE = np.random.default_rng(0)
IMAGES = {
    "8 bits": NOISE.integers(0, 255, (64, 64)),
    "16 bits, each number once": NOISE.permutation(64 * 64).reshape(64, 64) + 1,
    "nuclei": np.rint(ndimage.gaussian_filter(MASK * 200.0, 1.5) + NOISE.normal(5, 2, MASK.shape)).clip(0),
}
ONE = np.zeros((32, 32), np.int32)
ONE[2:9, 2:9] = ONE[12:20, 12:20] = 7
POINTS = np.zeros((40, 40), np.int32)
POINTS[::4, ::4] = np.arange(1, 101).reshape(10, 10)
STRIPED = np.repeat([[1, 0, 2, 0, 3, 0] * 6], 30, 0).astype(np.int32)


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_said_to_look_like_one(kind: str) -> None:
    assert "looks like an image" in doubt(Truth.from_layers(IMAGES[kind][None]))


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_is_one_id_in_many_pieces(value: int) -> None:
    assert "one id in 18 pieces" in doubt(Truth.from_layers(value * MASK[None]))


@pytest.mark.parametrize(
    "real", [ndimage.label(MASK)[0], ONE, POINTS, STRIPED, labels(1), np.zeros((9, 9)), np.full((9, 9), -1)]
)
def test_labels_are_not_doubted(real: np.ndarray) -> None:
    assert doubt(Truth.from_layers(real[None])) == ""


def test_it_is_said_beside_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "a.labels.tif", ndimage.label(MASK)[0].astype(np.uint16))
    tifffile.imwrite(tmp_path / "a.tif", (255 * MASK).astype(np.uint8))
    assert main(["evaluate", str(tmp_path / "a.labels.tif"), str(tmp_path / "a.tif"), "--metric", "S"]) == 0
    assert "note: the truth of a has one id in 18 pieces; if each piece is an object" in capsys.readouterr().out
