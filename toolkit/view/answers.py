"""What the page asks for, as bytes: tiles of pictures, tiles of ids, tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.view.codes import coded
from toolkit.view.pyramid import ACROSS, Cut
from toolkit.view.scene import TILE, Scene

BORDER = 1
"""Voxels around a tile of ids, by which outlines are found."""


class Answers:
    """Answers about a scene, Deflate compressed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def picture(self, number: int, axis: int, at: int, level: int, row: int, column: int) -> bytes:
        """Codes `(C, rows, columns)` uint8 of a tile of a picture, smaller at the far border."""
        picture, cut = self._scene.pictures[number], self._cut(axis, at, level, row, column)
        return packed(coded(picture.pyramid.read(cut), list(picture.channels)))

    def labels(self, side: int, axis: int, at: int, level: int, row: int, column: int) -> bytes:
        """Ids `(layers, rows, columns)` uint32 of a tile, with a border of one pixel."""
        cut = self._cut(axis, at, level, row, column)
        start = (cut.start[0] - BORDER, cut.start[1] - BORDER)
        size = (cut.shape[0] + 2 * BORDER, cut.shape[1] + 2 * BORDER)
        return packed(self._scene.sides[side].painted.read(Cut(axis, at, cut.steps, start, size)))

    def table(self, side: int) -> bytes:
        """The columns of a table, float32."""
        return zlib.compress(self._scene.sides[side].table.data(), 1)

    def marks(self, number: int) -> bytes:
        """The rows of marks, float32."""
        return zlib.compress(self._scene.marks[number].data(), 1)

    def _cut(self, axis: int, at: int, level: int, row: int, column: int) -> Cut:
        """A tile; raises `LookupError` if there is none."""
        scene = self._scene
        if not (0 <= axis < 3 and 0 <= at < scene.shape[axis] and 0 <= level < scene.levels):
            raise LookupError
        rows, columns = ACROSS[axis]
        steps = (scene.steps(rows, level), scene.steps(columns, level))
        size = (-(-scene.shape[rows] // steps[0]), -(-scene.shape[columns] // steps[1]))
        start = (row * TILE, column * TILE)
        if not (0 <= start[0] < size[0] and 0 <= start[1] < size[1]):
            raise LookupError
        return Cut(axis, at, steps, start, (min(TILE, size[0] - start[0]), min(TILE, size[1] - start[1])))


def packed(array: NDArray[np.unsignedinteger], level: int = 1) -> bytes:
    """Little-endian numbers in C order, Deflate compressed."""
    return zlib.compress(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes(), level)


def answer(answers: Answers, words: Sequence[str]) -> bytes | None:
    """The bytes for the words of an address, such as `picture 0 0 0 2 1 1`; None if it asks for nothing that there
    is."""
    verb, *numbers = words
    wanted: dict[str, tuple[int, Callable[..., bytes]]] = {
        "picture": (6, answers.picture), "labels": (6, answers.labels),
        "table": (1, answers.table), "marks": (1, answers.marks),
    }  # fmt: skip
    if verb not in wanted or not all(n.isascii() and n.isdecimal() and len(n) < 10 for n in numbers):
        return None
    count, ask = wanted[verb]
    if len(numbers) != count:
        return None
    try:
        return ask(*map(int, numbers))
    except LookupError:
        return None
