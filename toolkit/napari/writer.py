"""Saves the labels of a result that somebody has edited where `seg correct` looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.correct import edited
from toolkit.correct.result import Result, Segmented, opened
from toolkit.errors import UsageError
from toolkit.files import whole
from toolkit.napari.layers import KEY, Layer


def write(path: str, layers: Sequence[Layer]) -> list[str]:
    """The writer of napari. Corrections have one place, so where somebody wants them, `path`, does not count.

    Raises `UsageError` where the layers are none of a result, or of several images.
    """
    return [str(save([(data, about) for data, about, _ in layers]))]


def save(layers: Sequence[tuple[Any, dict[str, Any]]]) -> Path:
    """Write the layers of labels of one image into `OUT.corrections`, in place of what was saved there before."""
    import tifffile

    result, image, labels = stacked(layers)
    target = place(result, image)
    whole.unlinked(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    space = "ZYX"[-(labels.ndim - 1) :] if labels.ndim < 5 else "TZYX"
    with whole.file(target) as made, made.open("wb") as stream:
        options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
        if len(labels) == 1:
            tifffile.imwrite(stream, labels[0], metadata=None, **options)
        else:
            names = [f"layer-{n}" for n in range(len(labels))]
            tifffile.imwrite(
                stream, labels, ome=True, metadata={"axes": f"C{space}", "Channel": {"Name": names}}, **options
            )
    return target


def place(result: Result, image: Segmented) -> Path:
    """Where the edited labels of an image lie."""
    target = edited.file(result, image) or result.corrections / f"{image.name}.tif"
    if target.suffix.lower() != ".tif":
        raise UsageError("this image is corrected in a file of another program", target, "move it away, or go on there")
    return target


def stacked(layers: Sequence[tuple[Any, dict[str, Any]]]) -> tuple[Result, Segmented, NDArray[np.int32]]:
    """The result, the image, and its label layers `(L, *shape)`, in which each object has an id of its own."""
    said = [about.get("metadata", {}).get(KEY) for _, about in layers]
    whose = {(about["out"], about["image"]) for about in said if about}
    if len(whose) != 1:
        raise UsageError("these labels are of no result, or of several images", ", ".join(sorted(i for _, i in whose)),
                         "open one result with this reader and save its layers")  # fmt: skip
    ((out, name),) = whose
    mine = sorted((about["layer"], at) for at, about in enumerate(said) if about)
    result = opened(out)
    image = result.image(name)
    if len({layer for layer, _ in mine}) < max(about["layers"] for about in said if about):
        raise UsageError("a layer of objects is missing", name, "save all layers of objects of this image at once")
    labels = np.stack([np.asarray(layers[at][0]) for _, at in mine]).astype(np.int32)
    return result, image, apart(labels, image.objects().layers())


def apart(labels: NDArray[np.int32], before: NDArray[Any]) -> NDArray[np.int32]:
    """The layers, where an id that two of them use stays with the object that had it; the other gets a new one.

    napari counts new ids for each layer alone, so what is drawn in one may have the id of an object of another.
    """
    own = [np.unique(layer[layer > 0]) for layer in before]
    used: list[NDArray[Any]] = [np.unique(layer[layer > 0]) for layer in labels]
    ids, times = np.unique(np.concatenate(used), return_counts=True)
    fresh, found = int(max(labels.max(initial=0), before.max(initial=0))) + 1, labels.copy()
    for twice in ids[times > 1]:
        there = [k for k, names in enumerate(used) if twice in names]
        keeper = next((k for k in there if k < len(own) and twice in own[k]), there[0])
        for k in there:
            if k != keeper:
                found[k][labels[k] == twice] = fresh
                fresh += 1
    return found
