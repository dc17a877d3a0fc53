"""Post-processors whose blocks only gather foreground: the objects are made once, for the whole image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from toolkit.builtin.foreground import Foreground
from toolkit.errors import UsageError, nearest
from toolkit.gpu.backend import Backend
from toolkit.instances import Instances
from toolkit.prediction import Head, Prediction
from toolkit.specs import Pass, PostProcessor, Search
from toolkit.tiles import Box


class Gathering(PostProcessor):
    """Exact: any blocks give the same instances, because a block hands on nothing but its foreground voxels.

    Memory of the last step is about 20 bytes per foreground voxel, whatever the volume of the image.
    """

    exact: ClassVar[bool] = True

    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.1, 0.9, drifts=True)] = 0.5
    """Voxels with a foreground probability above this belong to objects."""
    min_size: Annotated[int, Field(ge=1), Search(1, 200, log=True, step=1)] = 16
    """Objects of fewer voxels are dropped."""

    @abstractmethod
    def gather(self, prediction: Prediction, backend: Backend) -> Foreground:
        """The foreground of a prediction that is cropped to its core."""

    @abstractmethod
    def settle(self, foreground: Foreground) -> Instances:
        """The objects of the whole image."""

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        box = Box.whole(prediction.box.shape)
        piece = Prediction(prediction.heads, box, box, box.shape, prediction.voxel_size)
        return self.settle(self.gather(piece, backend))

    def passes(self) -> tuple[Pass, ...]:
        def local(prediction: Prediction, state: None, backend: Backend) -> Foreground:
            return self.gather(prediction.crop(prediction.core), backend)

        def reduce(fragments: Sequence[Foreground], state: None, backend: Backend) -> Instances:
            return self.settle(Foreground.join(fragments))

        return (Pass(local, reduce),)

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, "foreground", self.kind)


def need(heads: Mapping[str, Any], name: str, kind: str) -> None:
    """Raise `UsageError` if there is no head of this name."""
    if name not in heads:
        raise UsageError(f"post-processor {kind} reads a head that the model does not have", name,
                         f"the heads are {', '.join(sorted(heads))}; {nearest(name, heads)}")  # fmt: skip
