"""Post-processors whose objects are made of foreground voxels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from toolkit.builtin.postprocessors.foreground import Foreground
from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.specs import Search
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction


class FromForeground(Gathering):
    """A block hands on nothing but its foreground voxels. Exact.

    Memory of the last step is about 20 bytes per foreground voxel, whatever the volume of the image.
    """

    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.1, 0.9, drifts=True)] = 0.5
    """Voxels with a foreground probability above this belong to objects."""
    min_size: Annotated[int, Field(ge=1), Search(1, 200, log=True, step=1)] = 16
    """Objects of fewer voxels are dropped."""

    @abstractmethod
    def gather(self, prediction: Prediction, backend: Backend) -> Foreground:
        """The foreground of a block."""

    @abstractmethod
    def divide(self, foreground: Foreground) -> Instances:
        """The objects of the foreground of the whole image."""

    def settle(self, parts: Sequence[Foreground], backend: Backend) -> Instances:
        return self.divide(Foreground.join(parts))

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"foreground": None}, self.kind)
