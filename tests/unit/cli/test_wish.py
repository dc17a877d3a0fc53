"""What one run asks of all its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from toolkit import io
from toolkit.cli.wish import Wish, unlike


def test_volumes_whose_voxels_have_another_shape_than_those_the_recipe_follows_are_named(tmp_path: Path) -> None:
    def volume(name: str, *spacing: float) -> None:
        about = {"axes": "ZYX", "unit": "um", **({"spacing": spacing[0]} if spacing else {})}
        voxels = np.zeros((3, 8, 8), np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", voxels, imagej=True, metadata=about, resolution=(2, 2))

    for name, *spacing in (("a", 2.0), ("b", 2.2), ("c", 1.0), ("d",), ("e", 4.0), ("f", 9.0), ("g", 8.0)):
        volume(name, *spacing)
    (tmp_path / "h.tif").write_bytes(b"II*\0")
    found = io.search((str(tmp_path),)).images
    said = unlike(Wish(()), found)
    assert said.startswith("the recipe follows the voxels of a; those of c, e, f and 1 more have another shape")
    assert unlike(Wish(()), found[:2]) == ""
    assert unlike(Wish((), voxel_size=(1.0, 1.0, 1.0)), found) == ""
