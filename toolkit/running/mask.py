"""The mask of `--mask`: where an image, or its opacity, is not 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.io.image import open_raster
from toolkit.io.labels import has_instances
from toolkit.io.paths import is_zarr
from toolkit.io.shapeless import is_shapeless
from toolkit.values.image import Image


def covered(mask: str, image: Image, frame: int = 0) -> NDArray[np.bool_]:
    """Voxels of `image` that a file covers; of a series one frame, if the mask has as many. Raises `InputError` for a
    folder and for a mask of another shape."""
    path = Path(mask)
    if path.is_dir() and not is_zarr(path):
        raise InputError("a mask is one image, and this is a folder", f"--mask {mask}", "name a file in it")
    found = _opaque(path)
    if found is None:
        found = io.read_truth(path, shape=image.shape).covered > 0
    frames = 1 if image.series is None else image.series.shape[0] // image.shape[0]
    if frames > 1 and found.shape == (frames, *image.shape):
        return np.asarray(found[frame])
    if found.shape != image.shape:
        time = f", each of {frames} frames" * (frames > 1)
        raise InputError(f"the mask has {list(found.shape)} voxels and the image has {list(image.shape)}{time}",
                         f"{image.name}, --mask {mask}", "choose the mask of this image")  # fmt: skip
    return found


def _opaque(path: Path) -> NDArray[np.bool_] | None:
    """Where a picture is opaque, if its shape lies in that alone: what is seen has one colour."""
    if not path.is_file() or is_shapeless(path) or has_instances(path):
        return None
    raster = open_raster(path)
    if not raster.opacity or not raster.axes.endswith("S"):
        return None
    voxels = np.asarray(raster.source[(slice(None),) * len(raster.axes)])
    opacity = voxels[..., raster.opacity[0]]
    seen = np.delete(voxels, raster.opacity, axis=-1)[opacity > 0]
    shaped = 0 < len(seen) < opacity.size and not (seen != seen[:1]).any()
    return opacity > 0 if shaped else None
