"""PatchPerPix: shape patches at every pixel become instances."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Literal

from toolkit.api import (
    Backend,
    Box,
    Deduced,
    Fit,
    Head,
    Instances,
    Pass,
    PostProcessor,
    Prediction,
    Survey,
    Thought,
    Voxels,
)
from toolkit_ppp.fitting import fitting
from toolkit_ppp.options import Options


class PatchPerPix(Options, PostProcessor):
    """The `Options` as a post-processor. Any blocks give the same instances."""

    kind: Literal["ppp"] = "ppp"
    exact: ClassVar[bool] = True
    overlaps: ClassVar[bool] = True
    shaping: ClassVar[tuple[str, ...]] = ("patch",)
    shows: ClassVar[tuple[str, ...]] = ("scores", "selection", "graph")

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

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        from toolkit_ppp import kept

        names = ("foreground", "threshold")
        least = kept.Least(*(self.widest(name) if loose else getattr(self, name) for name in names))
        return kept.keep(prediction, self, least, backend, loose)

    def cut(self, piece: Voxels) -> Voxels:
        from toolkit_ppp import kept

        return kept.cut(piece, self)

    def holds(self) -> float:
        """Centre, score and place of a patch, with what it takes to put them in order, and its members as bits.
        Measured: 84 beside the bits for nuclei with 13×13. Edges between those that are selected take less, later."""
        return 84 + self.voxels / 8

    def works(self) -> float:
        """Measured on balls: 350 to 550 for 5×5×5."""
        return 4 * self.voxels

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
        """Instances of `prediction.box` as if it were the whole image."""
        box = Box.whole(prediction.box.shape)
        piece = self.keep(Prediction(prediction.heads, box, box, box.shape, prediction.voxel_size), backend)
        state: Any = None
        for step in self.passes():
            state = step.reduce([step.local(piece, state, backend)], state, backend)
        found: Instances = state
        return found

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        from toolkit_ppp.thoughts import thoughts

        return thoughts(piece, self, backend, "graph" in wanted)

    def passes(self) -> tuple[Pass, ...]:
        """Scores and masks → one selection for the image; affinities of the selected patches → instances."""
        from toolkit_ppp import assembly
        from toolkit_ppp.patches import read
        from toolkit_ppp.scored import Scored
        from toolkit_ppp.selection import Selection

        def scores(piece: Voxels, state: None, backend: Backend) -> Scored:
            return assembly.scored(piece, read(piece, self, backend), self, backend)

        def select(parts: Iterable[Scored], state: None, backend: Backend) -> Selection:
            return assembly.selected(parts, self)

        def edges(piece: Voxels, state: Selection, backend: Backend) -> assembly.Linked:
            return assembly.linked(piece, read(piece, self, backend), state, self, backend)

        def unite(parts: Iterable[assembly.Linked], state: Selection, backend: Backend) -> Instances:
            return assembly.assembled(parts, state, self)

        return Pass(scores, select, Scored, state=Selection), Pass(edges, unite, assembly.Linked)
