"""What post-processors have in common that divide the foreground by affinities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from toolkit.builtin.postprocessors.components import Component, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.gpu.backend import Backend
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.voxels import Voxels


class FromAffinities(FromForeground):
    """Each connected component of the foreground by itself. Foreground is head `foreground` or, without it, the mean
    of the channels `near` of head `affinities`."""

    @abstractmethod
    def near(self, ndim: int) -> list[int]:
        """The channels of face neighbours that tell foreground where no head does."""

    @abstractmethod
    def split(self, component: Component) -> NDArray[Any]:
        """Labels of the objects of a component."""

    def probability(self, prediction: Prediction) -> Any:
        if "foreground" in prediction:
            return prediction["foreground"][0]
        return prediction["affinities"][self.near(prediction.ndim)].mean(0)

    def beside(self, prediction: Prediction) -> Sequence[str]:
        return ("affinities",)

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        return divide(voxels, self.split, self.min_size)
