"""Corrections as a data set: what people know of images, the rest unannotated, a part held back to judge by."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from toolkit import io
from toolkit.correct.history import History
from toolkit.correct.merge import Corrected
from toolkit.correct.result import Segmented, opened
from toolkit.errors import InputError, UsageError
from toolkit.files import bounded, whole
from toolkit.io.meta import WEIGHTS
from toolkit.registry.package import file_digest
from toolkit.steps.rescale import rescale
from toolkit.values.image import Image
from toolkit.values.truth import UNANNOTATED, Truth

RECORD = "corrections.json"
SCHEMA = "toolkit.corrections/1"
PART = 0.2
"""Of the corrected images, what is held back; one at least, and half of it where there is one alone."""
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Of voxels that an OME-TIFF may have."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A corrected image, or one image of a series. `key` is its own wherever it lies; `state` is the digest of what is
    known of it."""

    key: str
    name: str
    image: Segmented
    frame: int
    state: str
    known: Corrected

    def row(self) -> dict[str, Any]:
        return {"name": self.name, "key": self.key, "input": str(self.image.input), "frame": self.frame,
                "image_sha256": self.image.sha256, "state_sha256": self.state}  # fmt: skip


def lessons(outs: Sequence[str | Path]) -> list[Lesson]:
    """What the corrections of results teach: of an image that was corrected in several, the last that is named.

    Raises `InputError` where nothing was merged, and for an image that is gone or another one since.
    """
    found: dict[str, Lesson] = {}
    for out in outs:
        result = opened(out)
        history = History(result.corrections)
        standing = history.standing()
        if not standing:
            raise InputError("no corrections were merged", result.corrections, f"say seg correct {out} first")
        for name, row in standing.items():
            image = result.image(name)
            if image.input.is_file() and file_digest(image.input) != row["image_sha256"]:
                raise InputError("the image is not the one that was corrected", image.input, "put that one back")
            known, frames = history.state(row), image.frames()
            for number in range(len(frames)):
                part = known.frame(number) if len(frames) > 1 else known
                if not (part.right.any() or len(part.background)):
                    continue
                key = sha256(f"{row['image_sha256'] or image.input} {number}".encode()).hexdigest()
                called = re.sub(r"[^A-Za-z0-9-]+", "_", name) + (f"_t{number}" if len(frames) > 1 else "")
                found[key] = Lesson(key, f"{called}-{key[:8]}", image, number, row["sha256"], part)
    if not found:
        raise InputError("nothing is known by these corrections", ", ".join(map(str, outs)), "mark or draw something")
    return list(found.values())


def held(taught: Sequence[Lesson], before: Sequence[str] = ()) -> set[str]:
    """Keys of the lessons that are held back: those that were `before`, then by their digest, so that more corrections
    change little. None where there is one lesson alone."""
    if len(taught) < 2:
        return set()
    some = [lesson for lesson in taught if lesson.known.right.any()] or list(taught)
    order = sorted(some, key=lambda lesson: (lesson.key not in before, lesson.key))
    stay = [lesson.key for lesson in order if lesson.key in before]
    count = max(1, round(PART * len(taught)), len(stay))
    return {lesson.key for lesson in order[: min(count, len(taught) - 1)]}


def build(
    outs: Sequence[str | Path], folder: Path, old: str | None = None, before: Sequence[str] = ()
) -> dict[str, Any]:
    """The data set of the corrections of `outs` in `folder`, with splits `train` and `val`; returns its record.

    `old` is a data set whose split `train` is learnt from too; the corrections together are shown as often as it.
    `before` are keys of images that were held back from the model. A folder that holds the same is left as it is.
    Raises `UsageError` if it holds something else.
    """
    taught = lessons(outs)
    apart = held(taught, before)
    ndim, *others = {len(lesson.known.objects.shape) for lesson in taught}
    if others:
        raise UsageError("some corrected images are 2-D and others 3-D", ", ".join(map(str, outs)), "train two models")
    rows = [{**one.row(), "split": "val" if one.key in apart else "train" if apart else "both"} for one in taught]
    olds = _old(old, {one.image.sha256 for one in taught}) if old else None
    about = [
        *(f"{r['key']} {r['state_sha256']} {r['split']}" for r in rows),
        *([] if olds is None else map(_said, olds[1])),
    ]
    record = {"schema": SCHEMA, "sha256": sha256("\n".join(sorted(about)).encode()).hexdigest(), "images": rows,
              "held": sorted(apart), "old": old}  # fmt: skip
    if folder.is_dir():
        if recorded(folder).get("sha256") != record["sha256"]:
            raise UsageError("the output exists, and holds other corrections", folder, "choose another -o")
        return recorded(folder)
    with whole.folder(folder) as draft:
        for part in ("images", "masks"):
            (draft / part).mkdir()
        splits: dict[str, list[str]] = {"train": [], "val": []}
        for lesson in taught:
            image, truth = seen(lesson)
            halves = ("train", "val") if not apart else ("",)
            for half in halves:
                name = f"{lesson.name}{half and '-'}{half}"
                write(draft, name, image, _half(truth, half == "val") if half else truth)
                splits[half or ("val" if lesson.key in apart else "train")].append(name)
        weights = _copied(draft, olds, splits["train"]) if olds else {}
        _text(draft / "meta.json", {"masks": "L" + "ZYX"[-ndim:]})
        _text(draft / "splits.json", splits)
        _text(draft / RECORD, record)
        if weights:
            with (draft / WEIGHTS).open("w", newline="", encoding="utf8") as stream:
                csv.writer(stream).writerows([("name", "weight"), *weights.items()])
    return record


def seen(lesson: Lesson) -> tuple[Image, Truth]:
    """A corrected image and what is known of it, as large as the model saw it: that is what it has to learn."""
    image, by = lesson.image.frames()[lesson.frame], lesson.image.by
    truth = lesson.known.truth(image.voxel_size)
    if not by:
        return image, truth
    voxels = rescale(image, by)
    # Whole numbers stay what they are: colours are known by their range.
    read = np.rint(voxels.read()).astype(image.dtype) if image.dtype.kind in "ui" else voxels.read()
    layers = truth.layers
    for axis, (n, b) in enumerate(zip(voxels.shape, by, strict=True), start=1):
        nearest = np.floor((np.arange(n) + 0.5) / b).astype(np.int64)
        layers = np.take(layers, np.minimum(nearest, layers.shape[axis] - 1), axis)
    return replace(voxels, source=read), Truth.from_layers(layers, voxel_size=voxels.voxel_size)


def recorded(folder: str | Path) -> dict[str, Any]:
    """What a data set of corrections says of itself; empty of another data set."""
    path = Path(folder) / RECORD
    try:
        found = bounded.read_json(path) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise InputError("the record of these corrections is damaged", path, "train with another -o") from error
    return found if isinstance(found, dict) else {}


def write(folder: Path, name: str, image: Image, truth: Truth) -> None:
    """An image and what is known of it into a data set whose masks have layers."""
    import tifffile

    voxels = image.read()
    if voxels.dtype.name not in TYPES:
        voxels = voxels.astype(np.float32 if voxels.dtype.itemsize < 4 else np.float64)
    # By the name, which none has that is another image: what is written twice is the same bytes.
    about: dict[str, Any] = {"axes": image.axes, "UUID": str(uuid5(NAMESPACE_OID, name))}
    if image.channel_names:
        about["Channel"] = {"Name": list(image.channel_names)}
    if image.calibrated:
        for letter, size in zip(image.axes[1:], image.voxel_size, strict=True):
            about |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": "µm"}
    options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(folder / "images" / f"{name}.tif", voxels, ome=True, metadata=about, **options)
    tifffile.imwrite(folder / "masks" / f"{name}.tif", truth.layers, **options)
    if truth.void is not None:
        (folder / "void").mkdir(exist_ok=True)
        tifffile.imwrite(folder / "void" / f"{name}.tif", truth.void.astype(np.uint8), **options)


def _half(truth: Truth, second: bool) -> Truth:
    """What is known in one half of an image, along its longest axis; objects that lie in both are unannotated."""
    axis = int(np.argmax(truth.shape)) + 1
    middle = truth.layers.shape[axis] // 2
    there: list[slice] = [slice(None)] * truth.layers.ndim
    other = list(there)
    there[axis], other[axis] = slice(middle, None), slice(None, middle)
    if not second:
        there, other = other, there
    beyond = np.unique(truth.layers[tuple(other)])
    layers = np.where(np.isin(truth.layers, beyond[beyond > 0]), np.int32(UNANNOTATED), truth.layers)
    layers[tuple(other)] = UNANNOTATED
    return Truth.from_layers(layers, truth.void, truth.voxel_size)


def _old(where: str, corrected: set[str]) -> tuple[io.Dataset, tuple[io.Item, ...]]:
    """The old data set and those of its images to train on that nobody has corrected since."""
    data = io.open_dataset(f"{where}:train")
    kept = tuple(i for i in data.items if not (i.image.is_file() and file_digest(i.image) in corrected))
    return data, kept


def _said(item: io.Item) -> str:
    return f"{item.name} {item.image.stat().st_size} {item.weight}"


def _copied(draft: Path, old: tuple[io.Dataset, Sequence[io.Item]], learnt: list[str]) -> dict[str, float]:
    """Write the old images, add their names to those that are `learnt`, and give the weights of all."""
    data, items = old
    weights = dict.fromkeys(learnt, max(1.0, sum(item.weight for item in items) / max(1, len(learnt))))
    for name, item in _named(items):
        write(draft, name, data.image(item), data.truth(item))
        learnt.append(name)
        weights[name] = item.weight
    return weights


def _named(items: Sequence[io.Item]) -> Iterator[tuple[str, io.Item]]:
    for number, item in enumerate(items):
        yield f"old-{number:05}-{re.sub(r'[^A-Za-z0-9-]+', '_', item.name)}", item


def _text(path: Path, plain: Any) -> None:
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf8")
