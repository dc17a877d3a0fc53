"""Detection: one point for each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from toolkit.gpu.backend import Backend
from toolkit.instances import Instances
from toolkit.prediction import Head, Prediction
from toolkit.specs import Pass, PostProcessor, Search
from toolkit.tiles import Box
from toolkit_cpv.balls import balls
from toolkit_cpv.cpv import Unit
from toolkit_cpv.peaks import Heights, peaks
from toolkit_cpv.vote import vote
from toolkit_cpv.watershed import require


class Points(PostProcessor):
    """Local maxima of head `gauss`, or of the votes of head `cpv`, as objects (paper §3, App. D). Exact.

    A voxel is a point if it is above the threshold and nothing nearer than `distance` is higher; of a plateau the
    voxel nearest to its mean is. Score: the height of the blob, within 0 and 1, or votes / (votes + `votes`).
    """

    kind: Literal["points"] = "points"
    exact: ClassVar[bool] = True
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

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        require(heads, {"gauss": 1} if self.source == "gauss" else {"cpv": ndim}, self.kind)

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        box = Box.whole(prediction.box.shape)
        whole = Prediction(prediction.heads, box, box, box.shape, prediction.voxel_size)
        return self._reduce([self._local(whole, None, backend)], None, backend)

    def passes(self) -> tuple[Pass, ...]:
        return (Pass(self._local, self._reduce),)

    def _local(self, prediction: Prediction, state: None, backend: Backend) -> Heights:
        own = prediction.crop(prediction.core)
        if self.source == "gauss":
            return Heights.of(backend.to_numpy(own["gauss"])[0], self.threshold, own.box, own.shape, own.voxel_size)
        scale = tuple(1 / s for s in own.voxel_size) if self.unit == "micrometre" else ()
        found = vote(backend.to_numpy(own["cpv"]), np.ones(own.box.shape, bool), own.box, own.shape, scale)
        return Heights(own.shape, own.voxel_size, found.index, found.count.astype(np.float64))

    def _reduce(self, parts: Sequence[Heights], state: Any, backend: Backend) -> Instances:
        found = Heights.join(parts)
        if self.source == "votes":
            found = found.above(self.votes)
        index, value = peaks(found, self.distance)
        scores = value / (value + self.votes) if self.source == "votes" else np.clip(value, 0, 1)
        return Instances.from_runs(found.shape, *balls(index, found.shape, found.voxel_size, self.radius), scores)
