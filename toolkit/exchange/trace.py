"""Outlines of objects along the edges of pixels, exact: who fills them has the pixels again.

Imported only where outlines are written: it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.jit import jit
from toolkit.values.instances import Instances

Ring = NDArray[np.int32]
"""Corners `(N, 2)` as (x, y); the first pixel covers 0 … 1. The last corner is joined with the first."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What one plane holds of one object: `plane` are its indices before YX, `polygons` an outer ring each, then the
    rings of its holes."""

    id: int
    plane: tuple[int, ...]
    polygons: Sequence[Sequence[Ring]]


def outlines(instances: Instances) -> Iterator[Outline]:
    """The outlines of all objects, in the order of their ids, plane by plane. Pixels that meet at a corner alone are
    polygons of their own."""
    width, height = instances.shape[-1], instances.shape[-2]
    row, left = np.divmod(instances.start, width)
    planes, row = np.divmod(row, height)
    order = np.lexsort((left, row, planes, instances.owner))
    owner, planes, row, left = (v[order] for v in (instances.owner, planes, row, left))
    right = left + instances.length[order]
    if not len(owner):
        return
    fresh = np.flatnonzero((np.diff(owner) != 0) | (np.diff(planes) != 0)) + 1
    first = np.concatenate([[0], fresh, [len(owner)]]).astype(np.int64)
    points, ends = np.empty((4 * len(owner), 2), np.int32), np.empty(len(owner) + 1, np.int64)
    rings = np.zeros(len(first), np.int64)
    count = _trace(first, row, left, right, points, ends, rings)
    area = _areas(points, ends, count)
    for unit, run in enumerate(first[:-1].tolist()):
        numbers = range(int(rings[unit]), int(rings[unit + 1]))
        lead = tuple(int(v) for v in np.unravel_index(planes[run], instances.shape[:-2] or (1,)))
        parts = [(points[ends[n] : ends[n + 1]], float(area[n])) for n in numbers]
        yield Outline(int(owner[run]) + 1, lead if len(instances.shape) > 2 else (), _polygons(parts))


def _polygons(rings: Sequence[tuple[Ring, float]]) -> list[list[Ring]]:
    """Outer rings, of positive area, each with the holes in it."""
    outer = [(ring, area) for ring, area in rings if area > 0]
    found = [[ring] for ring, _ in outer]
    for hole, area in rings:
        if area < 0:
            # Below the first corner of a hole lies a pixel of the polygon around it.
            x, y = hole[0] + 0.5
            around = [k for k, (ring, _) in enumerate(outer) if len(outer) == 1 or _within(ring, x, y)]
            found[min(around, key=lambda k: outer[k][1])].append(hole)
    return found


def _within(ring: Ring, x: float, y: float) -> bool:
    """Whether a point lies inside an odd number of times."""
    a, b = ring, np.roll(ring, -1, axis=0)
    crossed = (a[:, 1] <= y) != (b[:, 1] <= y)
    return bool(np.count_nonzero(crossed & (a[:, 0] > x)) % 2)


def _areas(points: Ring, ends: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Signed area of each ring; that of a hole is negative."""
    used = points[: ends[count]].astype(np.float64)
    following = np.roll(used, -1, axis=0)
    following[ends[1 : count + 1] - 1] = used[ends[:count]]
    cross = used[:, 0] * following[:, 1] - following[:, 0] * used[:, 1]
    return np.asarray(np.add.reduceat(cross, ends[:count]) / 2)


@jit
def _inside(y: int, x: int, low: int, rows: Any, left: Any, right: Any) -> bool:
    """Whether a pixel is one of the object; `rows[k]` is the first run of row `low + k`."""
    if y < low or y - low >= len(rows) - 1:
        return False
    for run in range(rows[y - low], rows[y - low + 1]):  # noqa: SIM110  (what is compiled has no `any`)
        if left[run] <= x < right[run]:
            return True
    return False


@jit
def _began(y: int, x: int, low: int, rows: Any, left: Any, right: Any, base: int, count: int) -> int:
    """The number of the edge that goes right from a corner: that of the run which begins there, or of the one above
    which ends there."""
    if y - low < len(rows) - 1:
        for run in range(rows[y - low], rows[y - low + 1]):
            if left[run] == x:
                return run - base
    for run in range(rows[y - low - 1], rows[y - low]):
        if right[run] == x:
            return count + run - base
    return -1


@jit
def _trace(first: Any, row: Any, left: Any, right: Any, points: Any, ends: Any, rings: Any) -> int:
    """Fill `points` with corners, `ends` with where each ring ends, and `rings` with the first ring of each unit
    `first[u]:first[u + 1]` of runs; gives the number of rings. The object is on the right hand of who walks."""
    at, ring = 0, 0
    ends[0] = 0
    step_y, step_x = np.array([0, 1, 0, -1]), np.array([1, 0, -1, 0])
    # Of the four pixels around a corner, those ahead to the left and to the right, by direction.
    left_y, left_x = np.array([-1, 0, 0, -1]), np.array([0, 0, -1, -1])
    right_y, right_x = np.array([0, 0, -1, -1]), np.array([0, -1, -1, 0])
    for unit in range(len(first) - 1):
        base, stop = first[unit], first[unit + 1]
        rings[unit] = ring
        low, count = row[base], stop - base
        rows = np.empty(row[stop - 1] - low + 2, np.int64)
        run = base
        for k in range(len(rows)):
            while run < stop and row[run] < low + k:
                run += 1
            rows[k] = run
        walked = np.zeros(2 * count, np.bool_)
        for edge in range(2 * count):
            run = base + edge % count
            y, x = (row[run], left[run]) if edge < count else (row[run] + 1, right[run])
            below, above = _inside(y, x, low, rows, left, right), _inside(y - 1, x, low, rows, left, right)
            if walked[edge] or not below or above:
                continue
            direction, begun = 0, _began(y, x, low, rows, left, right, base, count)
            if walked[begun]:
                continue
            points[at, 0], points[at, 1] = x, y
            at += 1
            walked[begun] = True
            while True:
                y, x = y + step_y[direction], x + step_x[direction]
                if not _inside(y + right_y[direction], x + right_x[direction], low, rows, left, right):
                    direction = (direction + 1) % 4
                elif _inside(y + left_y[direction], x + left_x[direction], low, rows, left, right):
                    direction = (direction + 3) % 4
                else:
                    continue
                if direction == 0:
                    number = _began(y, x, low, rows, left, right, base, count)
                    if number == begun:
                        break
                    walked[number] = True
                points[at, 0], points[at, 1] = x, y
                at += 1
            ring += 1
            ends[ring] = at
    rings[len(first) - 1] = ring
    return ring
