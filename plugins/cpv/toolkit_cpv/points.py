"""Detection: one point for each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.specs import Search
from toolkit.steps.survey import Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit_cpv.balls import balls
from toolkit_cpv.cpv import Unit
from toolkit_cpv.peaks import Heights, peaks
from toolkit_cpv.vote import vote


class Points(Gathering):
    """Local maxima of head `gauss`, or of the votes of head `cpv`, as objects (paper §3, App. D). Exact.

    A voxel is a point if it is above the threshold and nothing nearer than `distance` is higher; of a plateau the
    voxel nearest to its mean is. Score: the height of the blob, within 0 and 1, or votes / (votes + `votes`).
    """

    kind: Literal["points"] = "points"
    detects: ClassVar[bool] = True

    source: Literal["gauss", "votes"] = "gauss"
    """Blobs (paper), or votes of all voxels (ours)."""
    threshold: Annotated[float, Field(gt=0, lt=1), Search(0.1, 0.6, drifts=True)] = 0.3
    """Least height of a blob, exclusive (paper: .25 to .35)."""
    votes: Annotated[int, Field(ge=0), Search(3, 120, log=True, step=1)] = 20
    """Least number of votes, exclusive."""
    distance: Annotated[int, Field(ge=1, le=32), Search(1, 8, step=1)] = 2
    """Two points are at least so many voxels apart along some axis (paper: 2 to 3)."""
    unit: Unit = "voxel"
    """As in the loss `cpv`."""
    radius: Annotated[float, Field(ge=0, le=64)] = 0.0
    """Objects are balls of this radius around their points, in units of the smallest voxel edge; 0 is one voxel. Balls
    may overlap: their centres stay those that were found."""

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        if survey.points:
            return Fit(1.0, "the objects are points, and it detects them")
        return Fit(0.1, "it finds centres and no outlines")

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"gauss": 1} if self.source == "gauss" else {"cpv": ndim}, self.kind)

    def gather(self, prediction: Prediction, backend: Backend) -> Heights:
        box, shape, voxel_size = prediction.box, prediction.shape, prediction.voxel_size
        if self.source == "gauss":
            return Heights.of(backend.to_numpy(prediction["gauss"])[0], self.threshold, box, shape, voxel_size)
        scale = tuple(1 / s for s in voxel_size) if self.unit == "micrometre" else ()
        found = vote(backend.to_numpy(prediction["cpv"]), np.ones(box.shape, bool), box, shape, scale)
        return Heights(shape, voxel_size, found.index, found.count.astype(np.float64))

    def settle(self, parts: Sequence[Heights], backend: Backend) -> Instances:
        found = Heights.join(parts)
        if self.source == "votes":
            found = found.above(self.votes)
        index, value = peaks(found, self.distance)
        scores = value / (value + self.votes) if self.source == "votes" else np.clip(value, 0, 1)
        return Instances.from_runs(found.shape, *balls(index, found.shape, found.voxel_size, self.radius), scores)
