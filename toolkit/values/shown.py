"""How objects show themselves to people: one line, a picture in a notebook, one object after the other."""

from __future__ import annotations

import base64
import colorsys
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.tiles import Box

SIDE = 256
"""Longest side of a thumbnail in pixels."""


@dataclass(frozen=True, eq=False)
class Object:
    """One object: its id, from 1 on, its score, its bounding box, and inside that its mask `box.shape`."""

    id: int
    score: float
    box: Box
    mask: NDArray[np.bool_] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))


class Many(Protocol):
    """What is asked of `Instances` here."""

    shape: tuple[int, ...]
    start: NDArray[np.int64]
    length: NDArray[np.int32]
    scores: NDArray[np.float32]

    @property
    def owner(self) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Object: ...
    def mask(self, index: int) -> tuple[Box, NDArray[np.bool_]]: ...
    def overlapping_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]: ...


class Shown:
    """What `Instances` can do for people."""

    def __repr__(self: Many) -> str:
        return f"{type(self).__name__}: {counted(self)}"

    def _repr_html_(self: Many) -> str:
        pairs = len(self.overlapping_pairs()[0])
        said = counted(self) + (f", {pairs} overlapping pairs" if pairs else "")
        data = base64.b64encode(thumbnail(self)).decode()
        return f'<div>{said}<br><img src="data:image/png;base64,{data}" style="image-rendering: pixelated"></div>'

    def __getitem__(self: Many, index: int) -> Object:
        """Object `index`, from 0 on; its id is one more."""
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"there is no object {index}, there are {count}, counted from 0")
        index %= count
        box, mask = self.mask(index)
        return Object(index + 1, float(self.scores[index]), box, mask)

    def __iter__(self: Many) -> Iterator[Object]:
        return (self[index] for index in range(len(self)))


def counted(instances: Many) -> str:
    """How many objects of what image."""
    count, shape = len(instances), "×".join(map(str, instances.shape))
    return f"{count} object{'s'[: count != 1]} in {shape} voxels"


def thumbnail(instances: Many) -> bytes:
    """A small PNG: each object in a colour of its own, white where several are; axes before YX are looked through."""
    height, width = instances.shape[-2:]
    by = -(-max(height, width) // SIDE)
    small = (-(-height // by), -(-width // by))
    inside = instances.start % prod((height, width))
    row, first = np.divmod(inside, width)
    last = (first + instances.length - 1) // by
    start, length = row // by * small[1] + first // by, last - first // by + 1
    at, owner = runs.voxels(start, length), np.repeat(instances.owner, length)
    picture = np.zeros((prod(small), 3), np.uint8)
    picture[at] = colours(len(instances))[owner]
    pairs = np.unique(at * max(1, len(instances)) + owner)
    places, times = np.unique(pairs // max(1, len(instances)), return_counts=True)
    picture[places[times > 1]] = 255
    return _png(picture.reshape(*small, 3))


def colours(count: int) -> NDArray[np.uint8]:
    """Neighbours in the order of ids differ by the golden angle."""
    hues = np.arange(count) * 0.6180339887 % 1
    colours = np.array([colorsys.hsv_to_rgb(hue, 0.8, 1) for hue in hues]).reshape(count, 3)
    return (colours * 255).astype(np.uint8)


def _png(picture: NDArray[Any]) -> bytes:
    """An RGB picture `(H, W, 3)` as PNG."""
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
