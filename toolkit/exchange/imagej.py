"""Label layers as ImageJ's own TIFF: a hyperstack with calibration, layers as channels, a colour for each label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.render import Layers
from toolkit.values.instances import Instances
from toolkit.values.shown import colours

EXACT = 2**24
"""Labels that ImageJ's 32-bit images, which are floats, tell apart."""
MOST = 2**32 - 2**24
"""Bytes of an ImageJ TIFF that plain readers take."""


def write_imagej(path: Path, instances: Instances, voxel_size: tuple[float, ...] | None, axes: str) -> None:
    """Labels as uint16, or as float32 beyond 65 535 objects. `axes` are those of the objects, `(T)(Z)YX`; `voxel_size`
    is in micrometres, None if unknown. Raises `InputError` for what ImageJ's format cannot hold."""
    layers = Layers(instances)
    frames, slices = (instances.shape[axes.index(c)] if c in axes else 1 for c in "TZ")
    dtype = np.dtype(np.uint16 if layers.dtype == np.uint16 else np.float32)
    shape = (frames, slices, layers.count, *instances.shape[-2:])
    if len(instances) >= EXACT or np.prod(shape, dtype=np.float64) * dtype.itemsize > MOST:
        raise InputError("these labels are too many for ImageJ's format", path, "open the .labels.tif or the .zarr")
    table = np.concatenate([np.zeros((1, 3), np.uint8), colours(255)]).T
    about: dict[str, Any] = {
        "axes": "TZCYX", "mode": "composite" if layers.count > 1 else "color", "LUTs": [table] * layers.count,
        "Ranges": (0.0, float(max(1, len(instances)))) * layers.count,
        "Labels": [f"layer-{n}" for n in range(layers.count)] * (frames * slices),
    }  # fmt: skip
    options: dict[str, Any] = {}
    if voxel_size is not None:
        about |= {"unit": "micron", **({"spacing": voxel_size[-3]} if len(voxel_size) > 2 else {})}
        options = {"resolution": (1 / voxel_size[-1], 1 / voxel_size[-2]), "resolutionunit": "NONE"}
    tifffile.imwrite(path, _pages(layers, frames * slices, dtype), shape=shape, dtype=dtype, imagej=True,
                     metadata=about, **options)  # fmt: skip


def _pages(layers: Layers, planes: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Plane after plane, all layers of each."""
    height = layers.shape[-2]
    for plane in range(planes):
        for layer in range(layers.count):
            yield layers.rows(layer, plane, 0, height).astype(dtype)
