"""A scene in a page of its own: all voxels in it, coarser where they are too many."""

from __future__ import annotations

import zlib
from dataclasses import replace
from math import prod

import numpy as np

from toolkit.steps.shrink import shrunk
from toolkit.values.image import Image
from toolkit.view.answers import packed
from toolkit.view.codes import coded
from toolkit.view.page import page
from toolkit.view.painted import Painted
from toolkit.view.pyramid import Cut, Pyramid
from toolkit.view.scene import Picture, Scene, Side

MOST = 3_500_000
"""Bytes that a page holds of voxels, compressed: with all else it stays below 5 MB."""


def whole(scene: Scene) -> str:
    """The HTML of a page that needs nothing else: every voxel of the scene, or of one that is 2, 4, 8 … times coarser.
    Table and marks are whole in any case."""
    level = 0
    while True:
        part = _coarser(scene, level)
        data = _voxels(part) if _size(part) <= 16 * MOST else {}
        if data and (sum(map(len, data.values())) <= MOST or level + 1 >= scene.levels):
            break
        level += 1
    for number, side in enumerate(scene.sides):
        data[f"table-{number}"] = zlib.compress(side.table.data(), 9)
    for number, drawn in enumerate(scene.marks):
        data[f"marks-{number}"] = zlib.compress(drawn.data(), 9)
    return page(part, data)


def _size(scene: Scene) -> int:
    planes = sum(len(picture.channels) for picture in scene.pictures) + sum(s.painted.layers for s in scene.sides)
    return planes * prod(scene.shape)


def _coarser(scene: Scene, level: int) -> Scene:
    """The scene at a level, as if its image had no more voxels."""
    if not level:
        return scene
    by = (scene.steps(0, level), scene.steps(1, level), scene.steps(2, level))
    depth, height, width = (-(-n // b) for n, b in zip(scene.shape, by, strict=True))
    said = f"this page shows 1 of {prod(by)} voxels; seg view without -o shows all"
    size = tuple(v * b for v, b in zip(scene.voxel_size, by, strict=True))
    return replace(
        scene, shape=(depth, height, width), voxel_size=size, factor=by, notes=[*scene.notes, said],
        pictures=[_averaged(picture, by, depth) for picture in scene.pictures],
        sides=[replace(side, painted=_Sparse(side, by)) for side in scene.sides],
    )  # fmt: skip


def _averaged(picture: Picture, by: tuple[int, int, int], depth: int) -> Picture:
    pyramid = picture.pyramid
    _, height, width = shrunk(pyramid.shape, by)
    planes = [pyramid.read(Cut(0, z * by[0], by[1:], (0, 0), (height, width))) for z in range(depth)]
    return replace(picture, pyramid=Pyramid([(Image(np.stack(planes, axis=1), "CZYX"), (1, 1, 1))]))


class _Sparse(Painted):
    """Every `by`-th voxel of the objects of a side."""

    def __init__(self, side: Side, by: tuple[int, int, int]) -> None:
        super().__init__(side.painted.instances)
        self._by, self._side = by, side

    @property
    def layers(self) -> int:
        return self._side.painted.layers

    def read(self, cut: Cut) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
        assert cut.axis == 0, "a page is filled plane by plane"
        steps = (cut.steps[0] * self._by[1], cut.steps[1] * self._by[2])
        return self._side.painted.read(replace(cut, at=cut.at * self._by[0], steps=steps))


def _voxels(scene: Scene) -> dict[str, bytes]:
    """Codes `(C, A, Y, X)` of the pictures and ids `(layers, A, Y, X)` of the objects, compressed."""
    depth, *size = scene.shape
    cuts = [Cut(0, z, (1, 1), (0, 0), (size[0], size[1])) for z in range(depth)]
    found = {}
    for number, picture in enumerate(scene.pictures):
        codes = [coded(picture.pyramid.read(cut), list(picture.channels)) for cut in cuts]
        found[f"picture-{number}"] = packed(np.stack(codes, axis=1), 9)
    for number, side in enumerate(scene.sides):
        found[f"labels-{number}"] = packed(np.stack([side.painted.read(cut) for cut in cuts], axis=1), 9)
    return found
