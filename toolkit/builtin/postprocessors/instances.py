"""Objects from models whose outputs are objects already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import Gathering, need
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.voxels import Voxels

Ints = NDArray[np.int64]
LABELS = 2**24
"""More labels than float32 tells apart, so more than a window has."""


class AsInstances(Gathering):
    """Labels of each window, of head `instances`: a channel is a kind of object, and kinds may overlap.

    In one window the objects are the model's own. Between windows, two pieces are one object where each is what the
    other touches most along the seam. Attribute `class` says of which channel an object is.
    """

    kind: Literal["instances"] = "instances"
    title: ClassVar[str] = "objects as the model gives them"
    overlaps: ClassVar[bool] = True
    names: tuple[str, ...] = ()
    """What the channels are, such as nuclei and cells."""
    only: str = ""
    """The channel whose objects are wanted, by its name; empty: all."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"instances": None}, self.kind)
        if self.only and self.only not in self.names:
            raise ValueError(f"there is no channel {self.only}: choose one of {', '.join(self.names) or 'none'}")

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        seen = prediction.crop(prediction.core)
        labels = np.rint(backend.to_numpy(seen["instances"])).astype(np.int64)
        # A label means something in its window alone.
        window = int(np.ravel_multi_index(seen.core.start, seen.shape)) * LABELS
        where = (labels > 0).any(0)
        found = labels[:, where].T
        return Voxels.of(
            where, {"label": np.where(found > 0, found + window, 0)}, seen.box, seen.shape, seen.voxel_size
        )

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        kinds = range(voxels["label"].shape[1])
        wanted = [self.names.index(self.only)] if self.only else kinds
        parts = [_objects(voxels, voxels["label"][:, kind]) for kind in wanted]
        start, length, label = ([part[i] for part in parts] for i in range(3))
        first = np.cumsum([0, *(int(one.max(initial=0)) for one in label)])
        owner = np.concatenate([one + n - 1 for one, n in zip(label, first, strict=False)])
        of = np.repeat([self.names[kind] if self.names else str(kind) for kind in wanted], np.diff(first))
        return Instances.from_runs(
            voxels.shape, np.concatenate(start), np.concatenate(length), owner, attributes={"class": of}
        )


def _objects(voxels: Voxels, code: Ints) -> tuple[Ints, Ints, Ints]:
    """Runs of the objects of one channel, and their labels 1…N; `code` `(P,)` tells pieces of all windows apart."""
    names, piece = np.unique(code, return_inverse=True)
    joined = np.arange(len(names))
    for a, b in _pairs(voxels, code, piece):
        joined[joined == joined[b]] = joined[a]
    _, label = np.unique(np.where(names > 0, joined + 1, 0), return_inverse=True)
    label = label + (0 if (names == 0).any() else 1)
    return runs.of_voxels(voxels.index[code > 0], label[piece[code > 0]], voxels.shape[-1])


def _pairs(voxels: Voxels, code: Ints, piece: Ints) -> list[tuple[int, int]]:
    """Pieces of two windows each of which is what the other touches most along their seam."""
    found = [np.zeros((0, 2), np.int64)]
    for axis in range(len(voxels.shape)):
        i, j = voxels.neighbours([int(a == axis) for a in range(len(voxels.shape))])
        seam = (code[i] > 0) & (code[j] > 0) & (code[i] // LABELS != code[j] // LABELS)
        found.append(np.stack([piece[i[seam]], piece[j[seam]]], 1))
    pairs, count = np.unique(np.concatenate(found), axis=0, return_counts=True)
    window = np.zeros(int(piece.max(initial=-1)) + 1, np.int64)
    window[piece] = code // LABELS
    most: dict[tuple[int, int], int] = {}
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], -count))].tolist():
        most.setdefault((a, int(window[b])), b)
        most.setdefault((b, int(window[a])), a)
    return [(a, b) for a, b in pairs.tolist() if most[a, int(window[b])] == b and most[b, int(window[a])] == a]
