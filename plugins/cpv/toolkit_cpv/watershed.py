"""Seeded watershed on what a network says about insides and outsides of objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.errors import UsageError
from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.specs import Search
from toolkit.steps.survey import Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit_cpv.basins import Basins, dilate, objects
from toolkit_cpv.cpv import Unit
from toolkit_cpv.vote import vote

Surface = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]
"""Height, seeds and foreground of a block, each of its shape."""


class SeededWatershed(Gathering):
    """From seeds, objects grow over the foreground, low voxels first (paper §3, App. C). Exact: any blocks give the
    same instances, because a block hands on only its foreground voxels and its votes.

    Memory of the last step is about 45 bytes per foreground voxel in 3-D. Foreground that no seed reaches is dropped.
    Equal heights take turns in the order in which they are reached. Connectivity is that of faces.
    """

    top: ClassVar[float]
    """Height of what is surely outside; an object's score is the mean of `top` − height, within 0 and 1."""

    seeds: Literal["main", "votes"] = "main"
    """Where seeds come from: the main head, or the votes of head `cpv` (paper App. C)."""
    votes: Annotated[int, Field(ge=0), Search(3, 120, log=True, step=1)] = 20
    """A voxel is a seed if more vectors point at it than this (paper: 40 to 100 in 3-D)."""
    voters: Literal["foreground", "reference"] = "foreground"
    """Who votes: `foreground`, because vectors of background are not trained (ours); `reference`: all voxels, and votes
    beyond the image count at its border."""
    unit: Unit = "voxel"
    """As in the loss `cpv`."""
    dilations: Annotated[int, Field(ge=0, le=8)] = 0
    """How often objects grow by their face neighbours in the end, where no other object is."""
    flood: Literal["foreground", "everything"] = "foreground"
    """What is flooded: the foreground, or everything, and then what is not foreground is cut off (reference)."""
    min_size: Annotated[int, Field(ge=1), Search(1, 200, log=True, step=1)] = 1
    """Objects of fewer voxels are dropped."""

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        return Fit(0.5, f"{survey.shape}, and each needs a core") if survey.bent else Fit(0.75, survey.shape)

    @abstractmethod
    def surface(self, heads: Mapping[str, NDArray[np.float32]]) -> Surface:
        """The topographic map, the seeds of the main head and the foreground of a block."""

    @abstractmethod
    def needs(self, ndim: int) -> Mapping[str, int]:
        """The main heads and their channels."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        wanted = {**self.needs(ndim), **({"cpv": ndim} if self.seeds == "votes" else {})}
        need(heads, wanted, self.kind)

    def gather(self, prediction: Prediction, backend: Backend) -> Basins:
        box, shape = prediction.box, prediction.shape
        height, seed, inside = self.surface({name: backend.to_numpy(prediction[name]) for name in self.needs(box.ndim)})
        votes = None
        if self.seeds == "votes":
            reference = self.voters == "reference"
            voters = np.ones(box.shape, bool) if reference else inside
            scale = tuple(1 / s for s in prediction.voxel_size) if self.unit == "micrometre" else ()
            votes = vote(backend.to_numpy(prediction["cpv"]), voters, box, shape, scale, clamp=reference)
        flooded = np.ones(box.shape, bool) if self.flood == "everything" else inside
        return Basins.of(height, seed, inside, flooded, box, shape, votes)

    def settle(self, parts: Sequence[Basins], backend: Backend) -> Instances:
        basins = Basins.join(parts)
        if self.seeds == "votes":
            basins = basins.voted(self.votes)
        label = basins.labels()
        own = label > 0
        index, label, height = basins.index[own], label[own], basins.height[own].astype(np.float64)
        total = np.bincount(label, weights=np.clip(self.top - height, 0, 1))
        scores = total / np.maximum(np.bincount(label), 1)
        for _ in range(self.dilations):
            index, label = dilate(index, label, basins.shape)
        return objects(index, label, basins.shape, scores, self.min_size)


class ThreeLabelWatershed(SeededWatershed):
    """On 1 − p(interior) of head `three_label`, with seeds where p(interior) is high. An object's score is its mean
    p(interior). Exact."""

    kind: Literal["three-label"] = "three-label"
    title: ClassVar[str] = "seeded watershed"
    top: ClassVar[float] = 1.0

    seed: Annotated[float, Field(ge=0, lt=1), Search(0.1, 0.98, drifts=True)] = 0.7
    """A voxel is a seed if p(interior) is above this (paper: .7 to .8)."""
    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.05, 0.99, drifts=True)] = 0.95
    """A voxel is foreground if 1 − p(background) is above this (paper: .95, for detection down to .5)."""

    def needs(self, ndim: int) -> Mapping[str, int]:
        return {"three_label": 3}

    def surface(self, heads: Mapping[str, NDArray[np.float32]]) -> Surface:
        background, interior, _ = heads["three_label"]
        return 1 - interior, interior > self.seed, 1 - background > self.foreground


class SdtWatershed(SeededWatershed):
    """On head `sdt`, negative inside, with seeds where it is deep. An object's score is its mean depth. Exact."""

    kind: Literal["sdt"] = "sdt"
    title: ClassVar[str] = "seeded watershed"
    top: ClassVar[float] = 0.0

    seed: Annotated[float, Field(gt=-1, le=0), Search(-0.5, -0.02, drifts=True)] = -0.13
    """A voxel is a seed if it is below this (paper: −.11 to −.14)."""
    foreground: Annotated[float, Field(gt=-1, lt=1), Search(-0.1, 0.1, drifts=True)] = 0.0
    """A voxel is foreground if it is below this (paper: 0)."""
    dilations: Annotated[int, Field(ge=0, le=8)] = 1
    """Boundary voxels are at 0 and so no foreground: objects grow by one voxel in the end (paper App. C)."""

    def needs(self, ndim: int) -> Mapping[str, int]:
        return {"sdt": 1}

    def surface(self, heads: Mapping[str, NDArray[np.float32]]) -> Surface:
        (height,) = heads["sdt"]
        return height, height < self.seed, height < self.foreground


class AffinitiesWatershed(SeededWatershed):
    """On 1 − mean affinity of head `affinities`, with seeds where most of them are high. An object's score is its mean
    affinity. Exact."""

    kind: Literal["affinities"] = "affinities"
    title: ClassVar[str] = "seeded watershed"
    top: ClassVar[float] = 1.0

    seed: Annotated[float, Field(ge=0, lt=1), Search(0.5, 0.998, drifts=True)] = 0.99
    """A voxel is a seed if enough of its affinities are above this (paper: .99)."""
    agree: Literal["two_thirds", "all"] = "two_thirds"
    """How many of the D affinities: ⌈2D/3⌉ (paper: two of three), or all (reference)."""
    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.3, 0.998, drifts=True)] = 0.99
    """A voxel is foreground if head `foreground` is above this (paper: .99, for detection down to .8)."""
    dilations: Annotated[int, Field(ge=0, le=8)] = 1
    """Gives back what the labels of the training lost by their erosion (paper App. C)."""

    def needs(self, ndim: int) -> Mapping[str, int]:
        return {"affinities": ndim, "foreground": 1}

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        super().check(heads, ndim)
        offsets = heads["affinities"].offsets or ()
        if any(sum(map(abs, offset)) != 1 for offset in offsets):
            raise UsageError(f"post-processor {self.kind} reads affinities of face neighbours alone",
                             f"the model has {[list(offset) for offset in offsets]}",
                             "see --set postprocess.kind=mutex_watershed")  # fmt: skip

    def surface(self, heads: Mapping[str, NDArray[np.float32]]) -> Surface:
        affinities = heads["affinities"]
        enough = len(affinities) if self.agree == "all" else -(-2 * len(affinities) // 3)
        height = 1 - affinities.mean(0, dtype=np.float32)
        return height, (affinities > self.seed).sum(0) >= enough, heads["foreground"][0] > self.foreground
