"""What the objects of one label image are like."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.instances import Instances

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one image, in the order of their ids.

    `sizes` in voxels; `extents` `(N, D)` of the bounding boxes; `width` `(N,)`: the shortest axis of the ellipsoid with
    the same second moments, in voxels; `fill` `(N,)`: size over that of this ellipsoid, 1 for an ellipse, less for what
    is bent, branched or holed; `border`: touches the border of the image. `touching`: share of objects with another one
    at a face. `overlapping`: objects that share voxels, in `pairs` pairs. `covered`: share of voxels in objects.
    """

    ids: Ints
    sizes: Ints
    extents: Ints
    width: NDArray[np.float64]
    fill: NDArray[np.float64]
    border: NDArray[np.bool_]
    touching: float = 0.0
    overlapping: int = 0
    pairs: int = 0
    covered: float = 0.0

    def __len__(self) -> int:
        return len(self.ids)


def describe(stack: NDArray[Any], planes: bool) -> Objects:
    """The objects of label layers `(L, *shape)`, or of planes `(Q, *shape)` where id q + 1 is plane q."""
    shape, parts = stack.shape[1:], []
    touching: set[int] = set()
    for index, layer in enumerate(stack):
        labels = (layer != 0).astype(np.uint8) if planes else np.maximum(layer, 0)
        start, length, label = runs.of_labels(labels)
        name = np.full(len(start), index + 1, np.int64) if planes else label.astype(np.int64)
        parts.append((start, length, name))
        if not planes:
            touching |= _touching(labels)
    start, length, name = (np.concatenate([p[k] for p in parts]) for k in range(3))
    ids, owner = np.unique(name, return_inverse=True)
    if not len(ids):
        none = np.zeros(0)
        return Objects(ids, ids, np.zeros((0, len(shape)), np.int64), none, none, none.astype(bool))
    sizes, low, high, covariance = _moments(start, length, owner, len(ids), shape)
    dimension = len(shape)
    spread = np.maximum(np.linalg.eigvalsh(covariance), 1e-9)
    ball = pi ** (dimension / 2) / gamma(dimension / 2 + 1) * (dimension + 2) ** (dimension / 2)
    overlapping, pairs = _overlaps(shape, start, length, owner) if len(stack) > 1 else (0, 0)
    return Objects(
        ids=ids,
        sizes=sizes,
        extents=high - low,
        width=2 * np.sqrt((dimension + 2) * spread[:, 0]),
        fill=sizes / (ball * np.sqrt(spread.prod(1))),
        border=((low == 0) | (high == np.array(shape))).any(1),
        touching=len(touching) / len(ids),
        overlapping=overlapping,
        pairs=pairs,
        covered=float(stack.any(0).mean()) if stack.dtype.kind != "i" else float((stack > 0).any(0).mean()),
    )


def _moments(
    start: Ints, length: Ints, owner: Ints, count: int, shape: tuple[int, ...]
) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """Sizes, bounding boxes and covariances `(N, D, D)` of the objects; a voxel is a unit cube, not a point."""
    first = np.stack(np.unravel_index(start, shape), axis=1)
    low = np.full((count, len(shape)), np.iinfo(np.int64).max)
    high = np.zeros((count, len(shape)), np.int64)
    end = first.copy()
    end[:, -1] += length - 1
    np.minimum.at(low, owner, first)
    np.maximum.at(high, owner, end + 1)
    sizes = np.bincount(owner, weights=length, minlength=count)
    # Coordinates from the corner of the object's box, so that large images lose no digits.
    middle = (first - low[owner]).astype(float)
    middle[:, -1] += (length - 1) / 2
    mean = _sums(middle * length[:, None], owner, count) / sizes[:, None]
    middle -= mean[owner]
    square = middle[:, :, None] * middle[:, None, :] * length[:, None, None]
    square[:, -1, -1] += length * (length.astype(float) ** 2 - 1) / 12
    covariance = _sums(square.reshape(len(start), -1), owner, count).reshape(count, len(shape), len(shape))
    return sizes.astype(np.int64), low, high, covariance / sizes[:, None, None] + np.eye(len(shape)) / 12


def _sums(values: NDArray[np.float64], owner: Ints, count: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(owner, weights=column, minlength=count) for column in values.T], axis=1)


def _touching(labels: NDArray[Any]) -> set[int]:
    """Labels with another label at a face."""
    found: set[int] = set()
    for axis in range(labels.ndim):
        a = labels[(slice(None),) * axis + (slice(1, None),)]
        b = labels[(slice(None),) * axis + (slice(None, -1),)]
        met = (a != b) & (a > 0) & (b > 0)
        found |= {*np.unique(a[met]).tolist(), *np.unique(b[met]).tolist()}
    return found


def _overlaps(shape: tuple[int, ...], start: Ints, length: Ints, owner: Ints) -> tuple[int, int]:
    """How many objects share voxels with another, and in how many pairs."""
    i, j, _ = Instances.from_runs(shape, start, length, owner).overlapping_pairs()
    return len({*i.tolist(), *j.tolist()}), len(i)
