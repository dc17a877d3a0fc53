"""An evaluation as two CSV files: one row for each image, one row for each object."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from toolkit.errors import StorageError, UsageError
from toolkit.evaluation.attribution import KINDS, Fates
from toolkit.evaluation.evaluate import Evaluation, Judged
from toolkit.files import whole
from toolkit.files.plain_text import cell

IMAGES = ("image", "true objects", "predicted objects")
OBJECTS = ("image", "side", "id", "fate", "matched id", "iou", "voxels")
TABLES = {"images.csv": IMAGES, "objects.csv": OBJECTS}


def writable(folder: Path) -> None:
    """Raise `UsageError` if a file in the folder is no such table, for the user named no file, or if the folder is the
    result of a run."""
    if (folder / "run.json").exists():
        raise UsageError("this is the result of a run, which holds nothing else", folder, "choose another --csv")
    for name, start in TABLES.items():
        path = folder / name
        whole.replaceable(path)
        if path.exists() and not path.read_bytes().startswith(",".join(start).encode()):
            raise UsageError("no evaluation wrote this, so none writes over it", path, "choose another --csv")


def write_tables(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write `images.csv` and `objects.csv` into `folder`.

    Raises `StorageError` if that fails, `UsageError` as `writable` does.
    """
    images, objects = (folder / name for name in TABLES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable(folder)
        _write(images, _image_rows(evaluation))
        _write(objects, _object_rows(evaluation))
    except OSError as error:
        raise StorageError(
            "the tables cannot be written", f"{folder} ({error.strerror})", "choose another folder"
        ) from error
    return images, objects


def _write(path: Path, rows: Iterable[list[object]]) -> None:
    with whole.file(path) as made, made.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([cell(value) for value in row] for row in rows)


def _image_rows(evaluation: Evaluation) -> Iterator[list[object]]:
    """Name, number of objects, fates and every value; an undefined value is an empty cell."""
    fates = [f"true {kind}" for kind in KINDS] + [f"predicted {kind}" for kind in KINDS]
    yield [*IMAGES, *fates, *evaluation.keys]
    for at, image in enumerate(evaluation.images):
        values = [evaluation.values(key)[at] for key in evaluation.keys]
        yield [
            image.name,
            len(image.true.ids),
            len(image.predicted.ids),
            *(np.bincount(side.kind, minlength=len(KINDS))[k] for side in _sides(image) for k in range(len(KINDS))),
            *("" if np.isnan(value) else float(value) for value in values),
        ]


def _object_rows(evaluation: Evaluation) -> Iterator[list[object]]:
    """Every true and predicted object with its fate; corners of the bounding box are voxels, the second one past."""
    ndim = max(len(image.shape) for image in evaluation.images)
    axes = "zyx"[-ndim:]
    corners = [f"{axis}_{end}" for end in ("from", "to") for axis in axes]
    yield [*OBJECTS, *corners]
    for image in evaluation.images:
        for name, side in zip(("true", "predicted"), _sides(image), strict=True):
            for k in range(len(side.ids)):
                yield [
                    image.name,
                    name,
                    int(side.ids[k]),
                    KINDS[side.kind[k]],
                    int(side.partner[k]) or "",
                    round(float(side.iou[k]), 6),
                    int(side.sizes[k]),
                    *([""] * (ndim - len(image.shape))),
                    *side.boxes[k, 0].tolist(),
                    *([""] * (ndim - len(image.shape))),
                    *side.boxes[k, 1].tolist(),
                ]


def _sides(image: Judged) -> tuple[Fates, Fates]:
    return image.true, image.predicted
