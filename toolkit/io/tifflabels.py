"""Write label layers as OME-TIFF."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from toolkit.io.render import Layers
from toolkit.io.shards import Make, one_by_one, shards
from toolkit.values.scattered import Objects
from toolkit.values.tiles import Box, boxes

STRIP = 2**20
"""Voxels that are compressed at once."""
SLAB = 2**24
"""Voxels that are rendered at once."""


@dataclass(frozen=True)
class Strips:
    """Strips of `high` rows of pages of a TIFF, the last of each page may be lower; those of a box of `slab` voxels are
    consecutive in it."""

    shape: tuple[int, ...]
    dtype: str
    high: int
    slab: tuple[int, ...]

    stage = "tiff"

    @classmethod
    def over(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Strips:
        """The strips that suit a shape."""
        high = min(shape[-2], max(1, STRIP // shape[-1]))
        return cls(shape, dtype.str, high, _sized(shape, high))

    @property
    def boxes(self) -> list[Box]:
        """The boxes of one part of the file each, in its order."""
        return list(boxes(self.shape, self.slab))

    def files(self, labels: NDArray[Any], box: Box) -> dict[str, NDArray[np.uint8]]:
        """Compressed strips, by their number in the box."""
        pages = labels.reshape(-1, *labels.shape[-2:])
        rows = (page[low : low + self.high] for page in pages for low in range(0, len(page), self.high))
        return {str(n): np.frombuffer(zlib.compress(some.tobytes(), 6), np.uint8) for n, some in enumerate(rows)}


def write_tiff(
    path: Path, instances: Objects, voxel_size: tuple[float, ...] | None, axes: str, make: Make = one_by_one
) -> None:
    """Labels `(T)(Z)YX`, or `L(T)(Z)YX` where objects overlap, as uint16 or uint32, Deflate compressed, OME metadata.

    The layers are OME channels named `layer-0` …. `voxel_size` is in micrometres, None if unknown. Equal objects give
    equal bytes. `make` has the strips made.
    """
    layers = Layers(instances)
    strips = Strips.over(layers.shape, layers.dtype)
    about: dict[str, Any] = {
        "axes": axes if layers.count == 1 else f"C{axes}",
        "Channel": {"Name": [f"layer-{n}" for n in range(layers.count)]},
        "UUID": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, instances.digest)}",
    }
    options: dict[str, Any] = {}
    if voxel_size is not None:
        for letter, size in zip(axes.removeprefix("T"), voxel_size, strict=True):
            about |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": "µm"}
        options = {"resolution": (1e4 / voxel_size[-1], 1e4 / voxel_size[-2]), "resolutionunit": "CENTIMETER"}
    shape = instances.shape if layers.count == 1 else (layers.count, *instances.shape)
    with tifffile.TiffWriter(path, ome=True, bigtiff=prod(shape) * layers.dtype.itemsize >= 2**32 - 2**25) as tif:
        tif.write(
            (
                content.tobytes()
                for files in make(shards(strips, instances), instances)
                for content in files.content.values()
            ),
            shape=shape,
            dtype=layers.dtype,
            compression="zlib",
            photometric="minisblack",
            rowsperstrip=strips.high,
            software="seg-toolkit",
            metadata=about,
            **options,
        )


def _sized(shape: tuple[int, ...], high: int) -> tuple[int, ...]:
    """Voxels per axis of at most about `SLAB` that are consecutive in the file, in whole strips of `high` rows."""
    width, height = shape[-1], shape[-2]
    rows = min(height, high * max(1, SLAB // (width * high)))
    pages = max(1, SLAB // (width * height)) if rows == height else 1
    return (*(1 for _ in shape[:-3]), *(min(pages, n) for n in shape[-3:-2]), rows, width)
