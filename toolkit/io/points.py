"""Points as annotation: a table with one row for each object."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.files import bounded
from toolkit.values.truth import Truth

Floats = NDArray[np.float64]


def is_points(path: Path) -> bool:
    """Whether `path` looks like a table of points by its name."""
    return path.name.lower().endswith(".csv") and not path.name.startswith(".")


def points_stem(path: Path) -> str:
    """The name without its ending: `a.csv` and `a.points.csv` both have the stem `a`."""
    return path.name[: -len(".csv")].removesuffix(".points")


def read_points(
    path: Path, shape: Sequence[int], void: NDArray[np.bool_] | None = None, voxel_size: Sequence[float] = ()
) -> Truth:
    """Points in an image of `shape` as objects of one voxel, with their exact places as centres.

    Columns by name, in voxels with the middle of the first one at 0: `z, y, x` or `y, x`, as napari writes them
    `axis-0, axis-1 …`, and if wanted `id`, a whole number above 0, else rows are counted from 1. Other columns may be
    there. Raises `InputError` that names the row for what is no number, lies outside the image or shares its voxel.
    """
    ids, centres, rows = _table(path, len(shape))
    place = np.floor(centres + 0.5).astype(np.int64)
    outside = np.any((place < 0) | (place >= np.array(shape)), axis=1)
    if outside.any():
        at = int(np.argmax(outside))
        point, size = ", ".join(f"{c:g}" for c in centres[at]), "×".join(map(str, shape))
        raise InputError(
            f"a point lies outside the image: ({point}) in {size} voxels",
            f"{path}, row {rows[at]}",
            "write voxels in the order of the axes, not micrometres",
        )
    index = np.ravel_multi_index(tuple(place.T), tuple(shape)) if len(place) else np.zeros(0, np.int64)
    for what, values in (("voxel", index), ("id", ids)):
        _, first, which = np.unique(values, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[which] != np.arange(len(values)))
        if len(again):
            one, two = rows[first[which[again[0]]]], rows[again[0]]
            raise InputError(f"two points have one {what}", f"{path}, rows {one} and {two}", "remove one of them")
    layer = np.zeros((1, *shape), np.int32)
    layer.reshape(-1)[index] = ids
    found = Truth.from_layers(layer, void, tuple(voxel_size))
    return replace(found, centres=centres[np.argsort(ids)])


def _table(path: Path, ndim: int) -> tuple[NDArray[np.int64], Floats, list[int]]:
    """Ids, places `(N, D)` and the number of each row in the file, whose first is the header."""
    try:
        table = csv.DictReader(io.StringIO(bounded.read(path, 2**28).decode("utf-8-sig"), newline=""))
        names = {name.strip().lower(): name for name in table.fieldnames or () if name}
        listed = [(table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "this table of points cannot be read", f"{path} ({error})", "write CSV with a header"
        ) from error
    wanted = "zyx"[-ndim:]
    columns = next(
        (c for c in ([*wanted], [f"axis-{d}" for d in range(ndim)]) if all(name in names for name in c)), None
    )
    if columns is None or (ndim == 2 and ("z" in names or "axis-2" in names)):
        raise InputError(
            f"this table has no points of a {ndim}-D image, its columns are {', '.join(names) or 'unnamed'}",
            path,
            f"write a header with {', '.join(wanted)}",
        )
    keys = [names[c] for c in columns]
    places = [[_number(row[key], key, path, line) for key in keys] for line, row in listed]
    if "id" in names:
        ids = [_id(_number(row[names["id"]], "id", path, line), path, line) for line, row in listed]
    else:
        ids = list(range(1, len(places) + 1))
    return np.array(ids, np.int64), np.array(places, np.float64).reshape(-1, ndim), [line for line, _ in listed]


def _number(text: str | None, name: str, path: Path, line: int) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"{name} is no number: {text!r}", f"{path}, row {line}", "remove or correct the row")
    return value


def _id(value: float, path: Path, line: int) -> int:
    if value != int(value) or not 1 <= value < 2**31:
        raise InputError(f"an id is a whole number from 1 on, not {value:g}", f"{path}, row {line}", "correct the row")
    return int(value)
