"""What post-processors have in common that divide the foreground by affinities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toolkit.builtin.postprocessors.components import STEPS, Component, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.gpu.backend import Backend
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.offsets import Offset
from toolkit.values.prediction import Prediction
from toolkit.values.thought import Marks, Thought
from toolkit.values.voxels import Voxels


class FromAffinities(FromForeground):
    """Each connected component of the foreground by itself. Foreground is head `foreground` or, without it, the mean
    of the channels `near` of head `affinities`."""

    shows: ClassVar[tuple[str, ...]] = ("graph",)

    @abstractmethod
    def near(self, ndim: int) -> list[int]:
        """The channels of face neighbours that tell foreground where no head does."""

    @abstractmethod
    def pairs(self, ndim: int) -> Sequence[tuple[int, Offset]]:
        """The channels of face neighbours, and where the neighbour is."""

    @abstractmethod
    def split(self, component: Component) -> NDArray[Any]:
        """Labels of the objects of a component."""

    def probability(self, prediction: Prediction) -> Any:
        if "foreground" in prediction:
            return prediction["foreground"][0]
        return prediction["affinities"][self.near(prediction.ndim)].mean(0)

    def beside(self, prediction: Prediction) -> Sequence[str]:
        return ("affinities",)

    def reach(self) -> int:
        return 1

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        return divide(voxels, self.split, self.min_size)

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """`graph`: objects that touch, joined by lines of their mean affinity over faces, −1 … 1."""
        found, label = self.settle(piece, backend), np.full(len(piece), -1)
        mine = runs.voxels(found.start, found.length.astype(np.int64))
        label[np.searchsorted(piece.index, mine)] = np.repeat(found.owner, found.length)
        ends, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
        for channel, offset in self.pairs(len(piece.shape)):
            i, j = piece.neighbours(offset)
            apart = (label[i] != label[j]) & (label[i] >= 0) & (label[j] >= 0)
            ends.append(np.sort(np.stack([label[i], label[j]], axis=1)[apart], axis=1))
            values.append(piece["affinities"][i[apart], channel] * (2 / STEPS) - 1)
        pair, which = np.unique(np.concatenate(ends), axis=0, return_inverse=True)
        value = np.bincount(which, np.concatenate(values), len(pair)) / np.maximum(np.bincount(which), 1)
        return {"graph": Marks("lines", found.centroids[pair[:, 0]], found.centroids[pair[:, 1]], value)}
