"""PatchPerPix: shape patches at every pixel become instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from toolkit.errors import UsageError
from toolkit.gpu.backend import Backend
from toolkit.plugins.specs import Pass, PostProcessor
from toolkit.steps.survey import Deduced, Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit_ppp.fitting import fitting
from toolkit_ppp.options import Options


class PatchPerPix(Options, PostProcessor):
    """The `Options` as a post-processor. Any blocks give the same instances."""

    kind: Literal["ppp"] = "ppp"
    exact: ClassVar[bool] = True
    overlaps: ClassVar[bool] = True

    def halo(self, ndim: int) -> tuple[int, ...]:
        """P − 1: the patches that vote on a pixel of a patch of the block."""
        self._same_axes(ndim)
        return tuple(n - 1 for n in self.patch)

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        self._same_axes(ndim)
        shape = "×".join(map(str, self.patch))
        if "patches" not in heads:
            raise UsageError("a head is missing", "patches", "train with loss.kind=ppp, or choose another postprocess")
        head = heads["patches"]
        if head.channels != self.voxels or (head.patch is not None and head.patch != self.patch):
            has = f"{head.channels} channels" if head.patch is None else "×".join(map(str, head.patch))
            raise UsageError(f"the head patches has {has}, not {shape} = {self.voxels} channels", "postprocess.patch",
                             "set it to the patch that the network was trained with")  # fmt: skip
        if "numinst" in heads and heads["numinst"].channels != 3:
            raise UsageError("the head numinst must have 3 channels: 0, 1 and more instances", "numinst",
                             f"this one has {heads['numinst'].channels}")  # fmt: skip

    def _same_axes(self, ndim: int) -> None:
        if ndim != len(self.patch):
            shape = "×".join(map(str, self.patch))
            raise UsageError(f"the patch {shape} has {len(self.patch)} axes and the image {ndim}", "postprocess.patch",
                             "give one extent per axis")  # fmt: skip

    def deduced(self, survey: Survey) -> Deduced:
        return {"patch": fitting(survey)} if survey.objects else {}

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        if survey.overlap:
            share = f"{100 * survey.overlapping:.0f} % of the objects overlap"
            return Fit(1.0, f"{share}, and its objects may share voxels") if self.overlap == "keep" else Fit(0.2, share)
        if survey.bent:
            return Fit(0.95, f"{survey.shape}, and its patches take any shape")
        return Fit(0.6, f"{survey.shape}, which takes it longer than others")

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
