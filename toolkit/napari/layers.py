"""What napari shows of an image of a result: the image, a layer of labels for each layer of objects, the table."""

from __future__ import annotations

import csv
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.correct import edited
from toolkit.correct.result import Result, Segmented
from toolkit.errors import InputError
from toolkit.values.image import Image
from toolkit.values.instances import Instances

Layer = tuple[Any, dict[str, Any], str]
"""Data, what is said of them, and the kind of layer, as napari takes it."""
KEY = "seg"
"""Where a layer says in its metadata of what result and image it is, and which layer."""
LARGEST = 2**31
"""Voxels of an image that are read into memory."""


def shown(result: Result, image: Segmented) -> list[Layer]:
    """The layers of an image; objects as they were edited last, where somebody has edited them."""
    frames = image.frames()
    found = [_image(image, frames)]
    file = edited.file(result, image)
    objects, size = image.objects(), _scale(image, frames[0])
    if file is not None:
        labels: NDArray[Any] = edited.labels(file, image, objects, len(frames) > 1).layers
        features: list[dict[str, Any]] = [{} for _ in labels]
    else:
        labels, features = objects.layers().astype(np.int32), _features(objects, table(image))
    return found + labelled(image.name, labels, features, size, {"out": str(result.out), "image": image.name})


def labelled(
    name: str, labels: NDArray[Any], features: list[dict[str, Any]], size: tuple[float, ...], about: dict[str, Any]
) -> list[Layer]:
    """A layer for each of several label images, visible and see-through, with what is known of each object."""
    made: list[Layer] = []
    for number, (layer, known) in enumerate(zip(labels, features, strict=True)):
        said: dict[str, Any] = {"name": f"{name} objects" + (f" {number + 1}" if len(labels) > 1 else "")}
        said |= {"scale": size, "opacity": 0.5, "visible": True}
        said |= {"metadata": {KEY: {**about, "layer": number, "layers": len(labels)}}}
        made.append((np.ascontiguousarray(layer), said | ({"features": known} if known else {}), "labels"))
    return made


def table(image: Segmented) -> dict[str, NDArray[Any]]:
    """The columns of the table of an image, numbers where they are; empty without one."""
    path = image.zarr.with_name(f"{Path(image.name).name}.objects.csv")
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf8") as stream:
            header, *rows = csv.reader(stream)
    except (ValueError, OSError, csv.Error) as error:
        raise InputError("the table of this image cannot be read", path, str(error)) from error
    return {name: _numbers(np.array(column)) for name, column in zip(header, zip(*rows, strict=True), strict=False)}


def _features(objects: Instances, columns: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """For each layer the rows of its objects; `index` tells napari whose row it is."""
    if len(columns.get("id", ())) != len(objects):
        columns = {"id": np.arange(1, len(objects) + 1), "score": objects.scores}
    whose = objects.layer_of[columns["id"].astype(np.int64) - 1]
    found = []
    for layer in range(int(objects.layer_of.max(initial=0)) + 1):
        rows = whose == layer
        found.append({"index": columns["id"][rows].astype(np.int64), **{n: c[rows] for n, c in columns.items()}})
    return found


def _image(image: Segmented, frames: tuple[Image, ...]) -> Layer:
    first = frames[0]
    if prod(first.shape) * first.channels * len(frames) > LARGEST:
        raise InputError("this image is too large to be shown as a whole", image.input, "run seg run --roi on a part")
    voxels = np.stack([f.read() for f in frames], 1) if len(frames) > 1 else first.read()
    about: dict[str, Any] = {"name": image.name, "scale": _scale(image, first)}
    if first.channels == 3 and first.dtype == np.uint8 and not first.channel_names:
        return np.moveaxis(voxels, 0, -1), about | {"rgb": True}, "image"
    if first.channels == 1:
        return voxels[0], about, "image"
    names = list(first.channel_names) or [f"channel {c}" for c in range(first.channels)]
    return voxels, about | {"channel_axis": 0, "name": [f"{image.name} {name}" for name in names]}, "image"


def _scale(image: Segmented, frame: Image) -> tuple[float, ...]:
    return (1.0,) * (len(image.shape) - frame.ndim) + frame.voxel_size


def _numbers(column: NDArray[np.str_]) -> NDArray[Any]:
    """Whole numbers, numbers with NaN where nothing stands, or the texts."""
    for kind in (np.int64, np.float64):
        try:
            return np.where(column == "", "nan", column).astype(kind)
        except ValueError:
            continue
    return column
