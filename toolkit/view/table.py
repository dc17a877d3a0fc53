"""The table of objects as the page takes it: numbers, and texts as numbers of their values."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.values.instances import Instances

MOST = 2**30
"""Bytes of a table that are read at most."""
FEW = 200
"""A text column of more values is no class: its values are not listed."""
KEPT = ("id", "score")
"""Columns that stay where nothing is known; others go."""
PLACE = re.compile(r"(min|max|centroid)_[tzyx]$")
"""Columns that say where an object is, which the picture shows: they come last."""
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Table:
    """Row k is the object with id k + 1: `columns` `(N,)` float32; of a column of texts, `words[name][number]`."""

    columns: Mapping[str, NDArray[np.float32]]
    words: Mapping[str, Sequence[str]]

    def about(self) -> list[dict[str, Any]]:
        """What the page is told before the numbers come."""
        return [
            {"name": name, **({"words": list(self.words[name])} if name in self.words else {})} for name in self.columns
        ]

    def data(self) -> bytes:
        """All columns, one after the other, little-endian."""
        return b"".join(np.asarray(c, "<f4").tobytes() for c in self.columns.values())


def table(path: Path | None, objects: Instances, more: Columns) -> Table:
    """The table that a run wrote at `path`, as far as it is of these objects, else what they say themselves; `more`
    columns follow after the score."""
    found = _stored(path, len(objects)) if path is not None and path.is_file() else {}
    found = found or _own(objects)
    rest = sorted((name for name in found if name not in KEPT), key=lambda name: PLACE.match(name) is not None)
    order = [*KEPT, *more, *rest]
    columns: dict[str, NDArray[np.float32]] = {}
    words: dict[str, list[str]] = {}
    for name in order:
        column = more.get(name, found.get(name))
        assert column is not None, "each name is that of a column"
        if column.dtype.kind in "US":
            values, index = np.unique(column, return_inverse=True)
            if len(values) > FEW:
                continue
            words[name], column = [str(v) for v in values], index
        columns[name] = column.astype(np.float32)
    columns = {name: c for name, c in columns.items() if name in KEPT or not np.isnan(c).all()}
    return Table(columns, words)


def _stored(path: Path, count: int) -> Columns:
    """The columns of a CSV with one row per object, `id` first and in order; nothing of any other."""
    if path.stat().st_size > MOST:
        return {}
    try:
        with path.open(newline="", encoding="utf8") as file:
            names, *rows = islice(csv.reader(file), count + 2)  # one more than there should be
    except (ValueError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("the table of this result is damaged", path, "run it anew") from error
    if len(rows) != count or "id" not in names or any(len(row) != len(names) for row in rows):
        return {}
    columns = {name: _column(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    ids = columns.get("id", np.zeros(0))
    return columns if np.array_equal(ids, np.arange(1, count + 1)) else {}


def _column(values: Sequence[str]) -> NDArray[Any]:
    texts = np.array(values)
    try:
        return np.where(texts == "", "nan", texts).astype(np.float64)
    except ValueError:
        return texts


def _own(objects: Instances) -> Columns:
    size = "area_px" if len(objects.shape) == 2 else "volume_px"
    centres = zip("tzyx"[-len(objects.shape) :], objects.centroids.T, strict=True)
    return {
        "id": np.arange(1, len(objects) + 1), "score": objects.scores, size: objects.sizes,
        **{f"centroid_{axis}": values for axis, values in centres},
    }  # fmt: skip


def matched(objects: Instances, others: Instances) -> Columns:
    """For each object its best partner among others of the same image: `match`, its id, 0 if there is none, and `iou`
    with it."""
    match, iou = np.zeros(len(objects), np.int64), np.zeros(len(objects))
    i, j, shared = objects.intersections(others)
    value = shared / (objects.sizes[i] + others.sizes[j] - shared)
    order = np.lexsort((-j, value))  # the best is written last; ties go to the lower id
    match[i[order]], iou[i[order]] = j[order] + 1, value[order]
    return {"iou": iou, "match": match}
