"""What one run asks of all its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from toolkit import io
from toolkit.cli import main
from toolkit.cli.wish import First, Wish, unlike


def test_volumes_whose_voxels_have_another_shape_than_those_the_recipe_follows_are_named(tmp_path: Path) -> None:
    def volume(name: str, *spacing: float) -> None:
        about = {"axes": "ZYX", "unit": "um", **({"spacing": spacing[0]} if spacing else {})}
        voxels = np.zeros((3, 8, 8), np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", voxels, imagej=True, metadata=about, resolution=(2, 2))

    for name, *spacing in (("a", 2.0), ("b", 2.2), ("c", 1.0), ("d",), ("e", 4.0), ("f", 9.0), ("g", 8.0)):
        volume(name, *spacing)
    (tmp_path / "h.tif").write_bytes(b"II*\0")
    found = io.search((str(tmp_path),)).images

    def odd(wish: Wish, some: Sequence[io.Found]) -> str:
        return unlike(wish, First(wish, some[0]), some)

    said = odd(Wish(()), found)
    assert said.startswith("the recipe follows the voxels of a; those of c, e, f and 1 more have another shape")
    assert odd(Wish(()), found[:2]) == ""
    assert odd(Wish((), voxel_size=(1.0, 1.0, 1.0)), found) == ""


def test_the_first_image_is_unpacked_once_until_there_is_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.eye(60, 50, dtype=np.uint8) * 200))
    opened = []
    original = imagecodecs.png_decode

    def decode(*data: bytes) -> np.ndarray:
        opened.append(1)
        return original(*data)

    monkeypatch.setattr(imagecodecs, "png_decode", decode)
    assert main(["run", str(tmp_path / "a.png"), "--dry-run", "--device", "cpu"]) == 0
    assert "plan" in capsys.readouterr().err
    assert len(opened) == 1
