"""Post-processors whose blocks gather what they see: what belongs together is settled once, wherever it lies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from toolkit.gpu.backend import Backend
from toolkit.plugins import apart
from toolkit.plugins.passes import Pass
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels


class Gathering(PostProcessor):
    """Exact: any blocks give the same instances, because what is kept of a voxel does not depend on its block."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        """What the last step needs of the core of a window."""

    @abstractmethod
    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        """The objects of the whole image, from what was kept of it; or of some groups, see `reach`."""

    def reach(self) -> int | None:
        """Where `settle` gives the objects of some voxels whatever others there are, as long as no others lie so many
        steps to face neighbours away or nearer: 1 for connected components. A large image is then settled block by
        block. None: all voxels may matter to all."""
        return None

    def holds(self) -> float:
        return 45 if self.reach() is None else 0

    def works(self) -> float:
        return 45

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        box = Box.whole(prediction.box.shape)
        whole = Prediction(prediction.heads, box, box, box.shape, prediction.voxel_size)
        return self.settle(self.keep(whole, backend), backend)

    def passes(self) -> tuple[Pass, ...]:
        if (reach := self.reach()) is not None:
            return apart.passes(self.settle, reach)

        def local(piece: Voxels, state: None, backend: Backend) -> Voxels:
            return piece

        def reduce(parts: Iterable[Voxels], state: None, backend: Backend) -> Instances:
            return self.settle(Voxels.join(parts), backend)

        return (Pass(local, reduce, Voxels, gathers=True),)


def need(heads: Mapping[str, Head], wanted: Mapping[str, int | None], kind: str) -> None:
    """Raise `ValueError` unless post-processor `kind` finds these heads, with so many channels (None: any number).

    A head whose channels are not known before an image is read has 0, which pass."""
    for name, channels in wanted.items():
        if name not in heads or (channels and heads[name].channels not in (0, channels)):
            size = "" if channels is None else f" of {channels} channel{'s'[: channels != 1]}"
            has = ", ".join(f"{head.name} ({head.channels})" for head in heads.values())
            raise ValueError(
                f"post-processor {kind} needs a head {name}{size}: the model has {has}; see --set postprocess.kind=…"
            )
