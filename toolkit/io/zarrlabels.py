"""Write objects as OME-Zarr 0.5: label layers that any viewer opens, and the lossless `instances` beside them."""
# ruff: noqa: TID253
# Imported only where a Zarr is written.

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from toolkit.io.render import Layers
from toolkit.io.zarrinstances import write_zarr_instances
from toolkit.io.zarrthoughts import write_thoughts
from toolkit.values.instances import Instances
from toolkit.values.thought import Marks
from toolkit.values.tiles import slabs

CHUNK = {2: (2048, 2048), 3: (64, 256, 256)}
"""Voxels per chunk: few files, each a few megabytes."""
SMALLEST = 512
"""The pyramid ends where no axis is longer."""
SLAB = 2**26
"""Voxels of a layer that are rendered at once."""


def write_zarr(
    path: Path,
    instances: Instances,
    voxel_size: tuple[float, ...] | None,
    axes: str,
    fields: Mapping[str, NDArray[Any]] | None = None,
    marks: Mapping[str, Marks] | None = None,
) -> None:
    """Write `labels/layer-0` … with nearest-neighbour pyramids, and `instances`. `voxel_size` is in µm or None.

    The image itself is not copied; the root shows the first layer, so that viewers find something to open.
    `fields` and `marks` are what the method thought (`zarrthoughts`).
    """
    layers = Layers(instances)
    root = zarr.create_group(path, zarr_format=3)
    spatial = len(axes.removeprefix("T"))
    steps = _steps(instances.shape[-spatial:], voxel_size or (1.0,) * spatial)
    steps = [(1,) * (len(axes) - spatial) + step for step in steps]
    names = [f"layer-{n}" for n in range(layers.count)]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [_multiscales("labels/layer-0/", axes, steps, voxel_size)]}
    labels = root.create_group("labels")
    labels.attrs["ome"] = {"version": "0.5", "labels": names}
    for layer, name in enumerate(names):
        group = labels.create_group(name)
        group.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [_multiscales("", axes, steps, voxel_size, name)],
            "image-label": {"source": {"image": "../../"}},
        }
        _write_levels(group, layers, layer, axes, steps)
    write_zarr_instances(root.create_group("instances"), instances, voxel_size)
    if fields or marks:
        write_thoughts(root, fields or {}, marks or {}, axes, voxel_size)


def _steps(shape: tuple[int, ...], voxel_size: tuple[float, ...]) -> list[tuple[int, ...]]:
    """Stride of each level along each axis; an axis with larger voxels waits until the others have caught up."""
    steps = [(1,) * len(shape)]
    while any(-(-n // s) > SMALLEST for n, s in zip(shape, steps[-1], strict=True)):
        axes = list(zip(shape, voxel_size, steps[-1], strict=True))
        finest = min(v * s for n, v, s in axes if n > s)
        steps.append(tuple(2 * s if n > s and v * s < 2 * finest else s for n, v, s in axes))
    return steps


def _multiscales(
    prefix: str, letters: str, steps: list[tuple[int, ...]], voxel_size: tuple[float, ...] | None, name: str = "layer-0"
) -> dict[str, Any]:
    unit = {} if voxel_size is None else {"unit": "micrometer"}
    axes: list[dict[str, str]] = [{"name": c, "type": "space", **unit} for c in letters.lower().removeprefix("t")]
    size = voxel_size or (1.0,) * len(axes)
    if letters.startswith("T"):
        axes, size = [{"name": "t", "type": "time"}, *axes], (1.0, *size)
    return {
        "name": name,
        "type": "nearest",
        "axes": axes,
        "datasets": [
            {
                "path": f"{prefix}{level}",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [v * s for v, s in zip(size, step, strict=True)]}
                ],
            }
            for level, step in enumerate(steps)
        ],
    }


def _write_levels(group: Any, layers: Layers, layer: int, axes: str, steps: list[tuple[int, ...]]) -> None:
    shape = layers.shape
    chunk = CHUNK[len(shape)] if axes[0] != "T" else (1, *CHUNK[len(shape) - 1])
    arrays = [
        group.create_array(
            str(level),
            shape=tuple(-(-n // s) for n, s in zip(shape, step, strict=True)),
            dtype=layers.dtype,
            chunks=tuple(min(c, -(-n // s)) for c, n, s in zip(chunk, shape, step, strict=True)),
            compressors=[ZstdCodec(level=3, checksum=True)],
            dimension_names=list(axes.lower()),
            config={"write_empty_chunks": True},
        )
        for level, step in enumerate(steps)
    ]
    rows = prod(shape[1:-1])
    # A slab is whole chunks of level 0 and whole strides of every level.
    unit = max(chunk[0], steps[-1][0])
    for box in slabs(shape, SLAB, unit):
        low, high = box.start[0], box.stop[0]
        slab = layers.rows(layer, low * rows, high * rows).reshape(high - low, *shape[1:])
        for array, step in zip(arrays, steps, strict=True):
            array[-(-low // step[0]) : -(-high // step[0])] = slab[tuple(slice(None, None, s) for s in step)]
