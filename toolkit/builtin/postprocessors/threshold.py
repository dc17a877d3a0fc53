"""Objects as connected components of the foreground."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from toolkit.builtin.postprocessors.components import connected, labelled
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.gpu.backend import Backend
from toolkit.steps.survey import Fit, Survey
from toolkit.values.instances import Instances
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
        return labelled(voxels, np.repeat(connected(voxels) + 1, voxels.length), self.min_size, "foreground")
