"""Objects as connected components of the foreground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from toolkit.builtin.postprocessors.components import STEPS
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.builtin.postprocessors.united import Parts, parts, united
from toolkit.gpu.backend import Backend
from toolkit.plugins.passes import Pass
from toolkit.steps.survey import Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.voxels import Voxels


class Threshold(FromForeground):
    """Connected components (over faces) of head `foreground` above a threshold; touching objects become one. Exact.

    An object's score is its mean foreground probability.
    """

    kind: Literal["threshold"] = "threshold"
    title: ClassVar[str] = "connected components"

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        touching = f"{100 * survey.touching:.0f} % of the objects touch"
        return Fit(0.2, f"{touching}, and those become one") if survey.crowded else Fit(0.6, touching)

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        part = parts(voxels, voxels["foreground"][:, 0])
        return united([part], self.min_size, STEPS).whole([part])

    def holds(self) -> float:
        """Runs stay in files of their blocks."""
        return 0

    def works(self) -> float:
        return 12

    def passes(self) -> tuple[Pass, ...]:
        """Components of each block, joined over faces."""

        def local(piece: Voxels, state: None, backend: Backend) -> Parts:
            return parts(piece, piece["foreground"][:, 0])

        def reduce(fragments: Iterable[Parts], state: None, backend: Backend) -> Joined:
            return united(fragments, self.min_size, STEPS)

        return (Pass(local, reduce, Parts),)
