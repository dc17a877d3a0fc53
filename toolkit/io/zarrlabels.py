"""Write objects as OME-Zarr: label layers that any viewer opens, and the lossless `instances` beside them."""
# Imported only where a Zarr is written.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.io.omeformat import OmeFormat, multiscales
from toolkit.io.render import Layers
from toolkit.io.zarrimage import copied, write_image
from toolkit.io.zarrinstances import write_zarr_instances
from toolkit.io.zarrthoughts import write_thoughts
from toolkit.values.image import Image
from toolkit.values.scattered import Objects
from toolkit.values.shown import colours
from toolkit.values.thought import Marks
from toolkit.values.tiles import Box, boxes

CHUNK = {2: (2048, 2048), 3: (64, 256, 256)}
"""Voxels per chunk: each a few megabytes."""
SHARD = {2: (4096, 4096), 3: (128, 512, 512)}
"""Voxels that are rendered at once, of all levels; where they are several chunks, these are one file."""
SMALLEST = 512
"""The pyramid ends where no axis is longer."""
MOST_SAID = 20_000
"""Of more objects colours and properties are not listed: viewers have colours of their own, and there is the table."""


def write_zarr(
    path: Path,
    instances: Objects,
    voxel_size: tuple[float, ...] | None,
    axes: str,
    fields: Mapping[str, NDArray[Any]] | None = None,
    marks: Mapping[str, Marks] | None = None,
    image: Image | None = None,
    table: Mapping[str, NDArray[Any]] | None = None,
    version: str = "0.5",
) -> None:
    """Write `labels/layer-0` … with nearest-neighbour pyramids, and `instances`. `voxel_size` is in µm or None.

    The root shows `image`, which is the first frame if `axes` begin with T, copied where it is not too large; else the
    first layer, so that viewers find something to open. Labels have the colours that they have elsewhere and, as far as
    they are not too many, what `table` says of them. `fields` and `marks` are what the method thought
    (`zarrthoughts`). `version`: of OME-Zarr.
    """
    layers, form = Layers(instances), OmeFormat(version)
    root = form.root(path)
    series = axes.startswith("T")
    spatial = _steps(instances.shape[series:], voxel_size or (1.0,) * (len(axes) - series))
    steps = [(1,) * series + step for step in spatial]
    names = [f"layer-{n}" for n in range(layers.count)]
    frames = instances.shape[0] if series else None
    if image is not None and copied(image, frames):
        write_image(root, image, frames, spatial, form)
    else:
        form.say(root, {"multiscales": [multiscales("objects", axes, steps, voxel_size, "nearest", "labels/layer-0/")]})
    labels = root.create_group("labels")
    form.say(labels, {"labels": names})
    said = properties(instances, table or {})
    for layer, name in enumerate(names):
        group = labels.create_group(name)
        mine = np.flatnonzero(instances.layer_of == layer)
        about = {
            "multiscales": [multiscales(name, axes, steps, voxel_size, "nearest")],
            "image-label": {**coloured(mine, len(instances)), "properties": [said[k] for k in mine if said],
                            "source": {"image": "../../"}},
        }  # fmt: skip
        form.say(group, about)
        _write_levels(group, layers, layer, axes, steps, form)
    write_zarr_instances(root.create_group("instances"), instances, voxel_size, form)
    if fields or marks:
        write_thoughts(root, fields or {}, marks or {}, axes, voxel_size, form)


def coloured(index: NDArray[Any], count: int) -> dict[str, Any]:
    """The colours of some of `count` objects, by label; none where there are too many to list."""
    if count > MOST_SAID:
        return {}
    palette = colours(count).tolist()
    return {"colors": [{"label-value": k + 1, "rgba": [*palette[k], 255]} for k in index.tolist()]}


def properties(instances: Objects, table: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """What is said of each object, by label: its score and the other columns; nothing where that is too much."""
    columns = {"score": instances.scores, **{n: c for n, c in table.items() if n != "id" and c.ndim == 1}}
    if len(instances) > MOST_SAID or len(instances) * len(columns) > 20 * MOST_SAID:
        return []
    rows = zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True)
    return [
        {"label-value": k, **{n: v for n, v in zip(columns, row, strict=True) if v == v}}  # a NaN is not itself
        for k, row in enumerate(rows, 1)
    ]


def _steps(shape: tuple[int, ...], voxel_size: tuple[float, ...]) -> list[tuple[int, ...]]:
    """Stride of each level along each axis; an axis with larger voxels waits until the others have caught up."""
    steps, most = [(1,) * len(shape)], tuple(map(min, shape, SHARD[len(shape)]))
    while any(-(-n // s) > SMALLEST for n, s in zip(shape, steps[-1], strict=True)):
        axes = list(zip(most, voxel_size, steps[-1], strict=True))
        finest = min((v * s for n, v, s in axes if n > s), default=0.0)
        if not finest:
            break
        steps.append(tuple(2 * s if n > s and v * s < 2 * finest else s for n, v, s in axes))
    return steps


def _write_levels(
    group: Any, layers: Layers, layer: int, axes: str, steps: list[tuple[int, ...]], form: OmeFormat
) -> None:
    shape, lead = layers.shape, (1,) * (axes[0] == "T")
    chunk, shard = ((*lead, *of[len(shape) - len(lead)]) for of in (CHUNK, SHARD))
    arrays = []
    for level, step in enumerate(steps):
        size = tuple(-(-n // s) for n, s in zip(shape, step, strict=True))
        whole = tuple(n // s for n, s in zip(shard, step, strict=True))
        chunks = tuple(map(min, chunk, size, whole))
        file = tuple(-(-min(n, m) // c) * c for n, m, c in zip(whole, size, chunks, strict=True))
        arrays.append(
            form.array(group, str(level), size, layers.dtype, chunks, axes.lower(), file if file != chunks else ())
        )
    for box in boxes(shape, shard):
        labels = layers.box(layer, box)
        for array, step in zip(arrays, steps, strict=True):
            start, stop = (tuple(-(-n // s) for n, s in zip(end, step, strict=True)) for end in (box.start, box.stop))
            array[Box(start, stop).slices] = labels[tuple(slice(None, None, s) for s in step)]
