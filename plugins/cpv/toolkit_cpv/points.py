"""Detection: one point for each object."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import (
    Backend,
    Fit,
    Gathering,
    Head,
    Instances,
    Marks,
    Prediction,
    Search,
    Survey,
    Thought,
    Voxels,
    need,
)
from toolkit_cpv.balls import balls
from toolkit_cpv.cpv import Unit
from toolkit_cpv.peaks import peaks
from toolkit_cpv.vote import counted, targets


class Points(Gathering):
    """Local maxima of head `gauss`, or of the votes of head `cpv`, as objects (paper §3, App. D). Exact.

    A voxel is a point if it is above the threshold and nothing nearer than `distance` is higher; of a plateau the
    voxel nearest to its mean is. Score: the height of the blob, within 0 and 1, or votes / (votes + `votes`).
    """

    kind: Literal["points"] = "points"
    detects: ClassVar[bool] = True
    overlaps: ClassVar[bool] = True
    shaping: ClassVar[tuple[str, ...]] = ("source", "unit")
    shows: ClassVar[tuple[str, ...]] = ("seeds",)

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

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        """`height` float32 of the voxels above the threshold; or of every voxel where it votes, `target`."""
        seen = prediction.crop(prediction.core)
        if self.source == "gauss":
            heights = seen["gauss"][0]
            high = heights > (self.widest("threshold") if loose else self.threshold)
            where, values = backend.to_numpy(high), {"height": backend.to_numpy(heights[high])}
        else:
            where = np.ones(seen.box.shape, bool)
            scale = tuple(1 / s for s in seen.voxel_size) if self.unit == "micrometre" else ()
            vectors = backend.to_numpy(seen.at("cpv", backend.asarray(where)))
            values = {"target": targets(vectors, np.arange(seen.box.size), seen, scale)}
        return Voxels.of(where, values, seen.box, seen.shape, seen.voxel_size)

    def cut(self, piece: Voxels) -> Voxels:
        return piece.select(piece["height"] > self.threshold) if self.source == "gauss" else piece

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        index, scores = self._found(voxels)
        return Instances.from_runs(voxels.shape, *balls(index, voxels.shape, voxels.voxel_size, self.radius), scores)

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """`seeds`: the points, with their scores."""
        index, scores = self._found(piece)
        return {"seeds": Marks("points", np.stack(np.unravel_index(index, piece.shape), axis=1), values=scores)}

    def _found(self, voxels: Voxels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Raster index and score of each point."""
        index, value = voxels.index, voxels.values.get("height")
        if self.source == "votes":
            index, value = counted(voxels["target"])
            index, value = index[value > self.votes], value[value > self.votes]
        assert value is not None, "blobs have heights"
        index, value = peaks(index, value.astype(np.float64), voxels.shape, self.distance)
        return index, value / (value + self.votes) if self.source == "votes" else np.clip(value, 0, 1)
