"""PatchPerPix: shape patches at every pixel become instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from toolkit.gpu.backend import Backend
from toolkit.plugins.specs import Pass, PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit_ppp.options import Options


class PatchPerPix(Options, PostProcessor):
    """The `Options` as a post-processor. Any blocks give the same instances."""

    kind: Literal["ppp"] = "ppp"
    exact: ClassVar[bool] = True

    def halo(self, ndim: int) -> tuple[int, ...]:
        """P − 1: the patches that vote on a pixel of a patch of the block."""
        self._same_axes(ndim)
        return tuple(n - 1 for n in self.patch)

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        self._same_axes(ndim)
        shape = "×".join(map(str, self.patch))
        if "patches" not in heads:
            raise ValueError("the head patches is missing; train with loss.kind=ppp, or choose another postprocess")
        head = heads["patches"]
        if head.channels != self.voxels or (head.patch is not None and head.patch != self.patch):
            has = f"{head.channels} channels" if head.patch is None else "×".join(map(str, head.patch))
            raise ValueError(
                f"the head patches has {has}, not {shape} = {self.voxels} channels; set patch to the one that the "
                "network was trained with"
            )
        if "numinst" in heads and heads["numinst"].channels != 3:
            found = heads["numinst"].channels
            raise ValueError(f"the head numinst must have 3 channels, 0, 1 and more instances: this one has {found}")

    def _same_axes(self, ndim: int) -> None:
        if ndim != len(self.patch):
            shape = "×".join(map(str, self.patch))
            raise ValueError(f"patch {shape} has {len(self.patch)} axes and the image {ndim}; give one extent per axis")

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        from toolkit_ppp import assembly

        return assembly.assemble(prediction, self, backend)

    def passes(self) -> tuple[Pass, ...]:
        """Scores and masks → one selection for the image; affinities of the selected patches → instances."""
        from toolkit_ppp import assembly
        from toolkit_ppp.selection import Selection

        def scores(prediction: Prediction, state: None, backend: Backend) -> assembly.Scored:
            return assembly.scored(prediction, assembly.read(prediction, self, backend), self, backend)

        def select(parts: Sequence[assembly.Scored], state: None, backend: Backend) -> Selection:
            return assembly.selected(parts, self)

        def edges(prediction: Prediction, state: Selection, backend: Backend) -> assembly.Linked:
            return assembly.linked(prediction, assembly.read(prediction, self, backend), state, self, backend)

        def unite(parts: Sequence[assembly.Linked], state: Selection, backend: Backend) -> Instances:
            return assembly.assembled(parts, state, self)

        return Pass(scores, select), Pass(edges, unite)
