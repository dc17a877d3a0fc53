"""The label image that a person saved for an image, in whatever program: found, read and looked at."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.check.labels import SUBSTANTIAL
from toolkit.correct.result import Result, Segmented
from toolkit.errors import InputError, nearest
from toolkit.io.contours import contours_stem, is_contours
from toolkit.io.paths import is_image
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

Pieces = Literal["refuse", "keep", "split"]
ID = "id"
"""The attribute of the edited objects that holds their ids in the file."""
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Edited:
    """What an edited file says: `objects`, with their ids in the file as attribute, and where it says −1."""

    objects: Instances
    unknown: NDArray[np.bool_] | None


def files(result: Result) -> dict[str, Path | InputError]:
    """The edited file of each image by its name; or, for two files of an image, and under its own name for a file of
    none, why nothing is corrected by it."""
    folder, known = result.corrections, {image.name for image in result.images}
    found = dict[str, Path | InputError]()
    for below in sorted({Path(name).parent for name in known}):
        for path in sorted((folder / below).iterdir()) if (folder / below).is_dir() else ():
            outlines = path.is_file() and is_contours(path)
            if path.name.startswith(".") or not (outlines or is_image(path)):
                continue
            stem = unicodedata.normalize("NFC", contours_stem(path)) if outlines else io.stem(path)
            name = (below / stem).as_posix()
            if name not in known:
                own = path.relative_to(folder.parent).as_posix()
                found[own] = InputError("this corrects no image of the result", path, nearest(name, known))
            elif isinstance(before := found.setdefault(name, path), Path) and before != path:
                found[name] = InputError("two files correct one image", f"{before} and {path}", "keep one of them")
    return found


def file(result: Result, image: Segmented) -> Path | None:
    """The edited file of an image, if there is one. Raises `InputError` if there are two."""
    found = files(result).get(image.name)
    if isinstance(found, InputError):
        raise found
    return found


def labels(path: Path, image: Segmented, before: Instances, series: bool) -> Truth:
    """What an edited file holds, of an image in which there was `before`; of a `series` the first axis is time.

    It has the axes of the image, or one more, that of layers. Channels are layers where objects overlapped before, for
    other programs store them so, and else other things, such as cells and nuclei. Raises `InputError`.
    """
    axes = "T" * series + "ZYX"[series - len(image.shape) :]
    return io.read_truth(path, f"L{axes}", shape=image.shape, channels=len(before.overlapping_pairs()[0]) > 0)


def read(path: Path, image: Segmented, before: Instances, series: bool) -> Edited:
    """The objects in an edited file, as `labels` reads it. Raises `InputError` where it has another shape than the
    image, or an id in two layers."""
    truth = labels(path, image, before, series)
    if truth.shape != image.shape:
        raise InputError("the corrections have another shape than the image", f"{path}, {list(truth.shape)} instead of "
                         f"{list(image.shape)} voxels", "save the labels as large as the image")  # fmt: skip
    layered = [np.unique(layer[layer > 0]) for layer in truth.layers]
    ids, times = np.unique(np.concatenate(layered), return_counts=True)
    if (times > 1).any():
        raise InputError("an id is used in two layers", f"{path}, {_listed(ids[times > 1])}",
                         "give each object an id of its own")  # fmt: skip
    objects = Instances.from_layers(truth.layers, attributes={ID: ids.astype(np.int64)})
    unknown = (truth.layers == UNANNOTATED).any(0) & (truth.covered == 0)
    return Edited(objects, unknown if unknown.any() else None)


def whole(edited: Instances, drawn: NDArray[np.int64], how: Pieces, where: object) -> Instances:
    """The objects, of which those with the indices `drawn` were looked at: is each in one piece, but for stray voxels?

    One that is not was half drawn, or two have one id: refused with an `InputError`, kept, or split.
    """
    from scipy.ndimage import label

    parts: list[Instances] = []
    several: list[int] = []
    for index in drawn.tolist():
        box, mask = edited.mask(index)
        labels, _ = label(mask, np.ones((3,) * mask.ndim))
        sizes = np.bincount(labels[mask])[1:]
        stray = sizes < SUBSTANTIAL * sizes.max()
        if (~stray).sum() > 1:
            several.append(index)
            labels[np.isin(labels, 1 + np.flatnonzero(stray))] = 1 + sizes.argmax()
            parts.append(Instances.from_labels(labels).place(box, edited.shape))
    if not several or how == "keep":
        return edited
    if how == "refuse":
        raise InputError("objects lie in several pieces", f"{where}, {_listed(edited.attributes[ID][several])}",
                         "draw them whole, give two objects two ids, or say --pieces keep or split")  # fmt: skip
    kept = edited.select(~np.isin(np.arange(len(edited)), several))
    first = int(edited.attributes[ID].max()) + 1 + np.cumsum([0, *map(len, parts)])
    named = [replace(p, attributes={ID: n + np.arange(len(p))}) for p, n in zip(parts, first, strict=False)]
    return Instances.concatenate(edited.shape, [kept, *named])


def _listed(ids: NDArray[np.int64]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return f"id{'s'[: len(ids) != 1]} {', '.join(map(str, ids[:SHOWN].tolist()))}{more}"
