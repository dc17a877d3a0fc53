"""Measure objects: place, size and intensity, one row per object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.shape import shape
from toolkit.values import attributes, runs
from toolkit.values.image import Image
from toolkit.values.scattered import Objects, whole
from toolkit.values.tiles import slabs

Column = NDArray[Any]
SLAB, CHUNK = 2**25, 2**22
"""Voxels of the image that are read, and of objects that are looked at, at once."""


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, Column]):
    """Columns of one length by name; row k is the object with id k + 1."""

    columns: dict[str, Column]

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def rows(self) -> int:
        """Number of objects."""
        return len(self.columns["id"])

    def points(self) -> dict[str, Column]:
        """Only the centres of mass: `id`, `z`, `y`, `x` in voxels, and `score`, as a data set may have them."""
        places = {axis: self.columns[f"centroid_{axis}"] for axis in "zyx" if f"centroid_{axis}" in self.columns}
        frame = {"frame": self.columns["frame"]} if "frame" in self.columns else {}
        return {"id": self.columns["id"], **frame, **places, "score": self.columns["score"]}


def joined(tables: Sequence[Table]) -> Table:
    """The tables of the frames of a time series as one, with a column `frame`; ids go on from frame to frame."""
    frame = np.repeat(np.arange(len(tables)), [t.rows for t in tables])
    unknown = [np.full(t.rows, np.nan) for t in tables]
    names = dict.fromkeys(name for t in tables for name in t)
    columns = {name: np.concatenate([t.get(name, u) for t, u in zip(tables, unknown, strict=True)]) for name in names}
    return Table(
        {"id": np.arange(1, len(frame) + 1), "frame": frame, **{k: v for k, v in columns.items() if k != "id"}}
    )


def measure(
    objects: Objects, image: Image, features: Sequence[str] = (), cut: NDArray[np.bool_] | None = None
) -> Table:
    """One row per object; a voxel that several objects share counts for each of them.

    `id`, `score`; `min_y` … first and `max_y` … one past the last voxel along each axis; `centroid_y` … in voxels;
    `area_px` or `volume_px`; `area_um2` or `volume_um3`, NaN if the voxel size is unknown; `overlaps`: other objects
    that share voxels; per channel `mean_0`, `min_0`, `max_0` … over the finite values, NaN if there is none.
    `features`: "shape" adds the columns of `steps.shape`, "intensity" per channel `sum_0` and `deviation_0` (standard
    deviation). `cut` `(N,)`, if given, is a column: 1 for objects that are more than what is seen of them. What the
    method says of each object, `attributes`, follows.
    """
    assert objects.shape == image.shape, f"shapes differ: {objects.shape} and {image.shape}"
    axes = image.axes[1:].lower()
    columns: dict[str, Column] = {"id": np.arange(1, len(objects) + 1), "score": objects.scores}
    for side, name in enumerate(("min", "max")):
        columns |= {f"{name}_{axis}": objects.boxes[:, side, d] for d, axis in enumerate(axes)}
    columns |= {f"centroid_{axis}": c for axis, c in zip(axes, objects.centroids.T, strict=True)}
    what, power = ("area", 2) if image.ndim == 2 else ("volume", 3)
    columns[f"{what}_px"] = objects.sizes
    columns[f"{what}_um{power}"] = objects.sizes * (prod(image.voxel_size) if image.calibrated else np.nan)
    first, second, _ = objects.overlapping_pairs()
    columns["overlaps"] = np.bincount(np.concatenate([first, second]), minlength=len(objects))
    if cut is not None:
        columns["cut"] = cut.astype(np.int64)
    for name, values in _intensities(objects, image, "intensity" in features).items():
        columns |= {f"{name}_{channel}": column for channel, column in enumerate(values)}
    if "shape" in features:
        columns |= shape(whole(objects), image)
    return Table(columns | attributes.columns(objects.attributes, tuple(columns)))


def _intensities(objects: Objects, image: Image, more: bool) -> dict[str, Column]:
    """Mean, smallest and largest finite value `(C, N)` of the objects, if wanted also sum and standard deviation; the
    image is read once, in slabs."""
    n = len(objects)
    total, count, square = (np.zeros((image.channels, n)) for _ in range(3))
    low, high = np.full((image.channels, n), np.inf), np.full((image.channels, n), -np.inf)
    row = prod(image.shape[1:])
    for box in slabs(image.shape, SLAB):
        start, length, owner = objects.within(box)
        if not len(start):
            continue
        voxels, offset = image.read(box).reshape(image.channels, -1), box.start[0] * row
        for span in runs.chunks(length, CHUNK):
            index, here = runs.voxels(start[span] - offset, length[span]), owner[span]
            begin = np.cumsum(length[span]) - length[span]
            for channel in range(image.channels):
                values = voxels[channel][index].astype(np.float64)
                valid = np.isfinite(values)
                total[channel] += np.bincount(here, np.add.reduceat(np.where(valid, values, 0), begin), n)
                if more:
                    square[channel] += np.bincount(here, np.add.reduceat(np.where(valid, values**2, 0), begin), n)
                count[channel] += np.bincount(here, np.add.reduceat(valid.astype(np.int64), begin), n)
                np.minimum.at(low[channel], here, np.minimum.reduceat(np.where(valid, values, np.inf), begin))
                np.maximum.at(high[channel], here, np.maximum.reduceat(np.where(valid, values, -np.inf), begin))
    none, some = count == 0, np.maximum(count, 1)
    found = {"mean": total / some, "min": low, "max": high}
    if more:
        found |= {"sum": total, "deviation": np.sqrt(np.maximum(0, square / some - (total / some) ** 2))}
    return {name: np.where(none, np.nan, values) for name, values in found.items()}
