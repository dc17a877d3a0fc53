"""Write label layers as OME-TIFF."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import tifffile

from toolkit.io.render import Layers
from toolkit.values.scattered import Objects

STRIP = 2**20
"""Voxels that are compressed at once."""


def write_tiff(path: Path, instances: Objects, voxel_size: tuple[float, ...] | None, axes: str) -> None:
    """Labels `(T)(Z)YX`, or `L(T)(Z)YX` where objects overlap, as uint16 or uint32, Deflate compressed, OME metadata.

    The layers are OME channels named `layer-0` …. `voxel_size` is in micrometres, None if unknown. Equal objects give
    equal bytes.
    """
    layers = Layers(instances)
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
    high = min(instances.shape[-2], max(1, STRIP // instances.shape[-1]))
    shape = instances.shape if layers.count == 1 else (layers.count, *instances.shape)
    with tifffile.TiffWriter(path, ome=True, bigtiff=prod(shape) * layers.dtype.itemsize >= 2**32 - 2**25) as tif:
        tif.write(
            _strips(layers, high),
            shape=shape,
            dtype=layers.dtype,
            compression="zlib",
            photometric="minisblack",
            rowsperstrip=high,
            software="seg-toolkit",
            metadata=about,
            **options,
        )


def _strips(layers: Layers, high: int) -> Iterator[bytes]:
    """Compressed strips of `high` rows in file order; the last of each plane may be lower."""
    height = layers.shape[-2]
    for layer in range(layers.count):
        for page in range(prod(layers.shape[:-2])):
            for low in range(0, height, high):
                yield zlib.compress(layers.rows(layer, page, low, min(low + high, height)).tobytes(), 6)
