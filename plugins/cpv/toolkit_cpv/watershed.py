"""Seeded watershed on what a network says about insides and outsides of objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import Backend, Fit, Gathering, Head, Instances, Prediction, Search, Survey, Thought, Voxels, need
from toolkit_cpv.basins import dilate, labels, objects
from toolkit_cpv.cpv import Unit
from toolkit_cpv.vote import counted, targets

Values = Mapping[str, NDArray[np.float32]]
"""Named values of some voxels."""


class SeededWatershed(Gathering):
    """From seeds, objects grow over the foreground, low voxels first (paper §3, App. C). Exact: any blocks give the
    same instances, because foreground that is connected is settled at once.

    With votes, or where everything is flooded, all of the image is. Foreground that no seed reaches is dropped. Equal
    heights take turns in the order in which they are reached. Connectivity is that of faces.
    """

    shaping: ClassVar[tuple[str, ...]] = ("seeds", "voters", "unit", "flood", "agree")
    shows: ClassVar[tuple[str, ...]] = ("seeds", "votes")
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

    def reach(self) -> int | None:
        """Objects that have not met grow into the same voxel from `dilations` voxels away on either side."""
        return None if self.everywhere or self.seeds == "votes" else max(1, 2 * self.dilations)

    @abstractmethod
    def needed(self, heads: Mapping[str, NDArray[np.float32]]) -> Values:
        """What of the main heads, `(C, *S)`, tells height, seeds and foreground: named arrays `S`."""

    @abstractmethod
    def surface(self, values: Values) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The topographic map and the seeds of the main head, from what is `needed`."""

    @abstractmethod
    def inside(self, values: Values, loose: bool = False) -> NDArray[np.bool_]:
        """The foreground; `loose` for the most permissive threshold."""

    @abstractmethod
    def needs(self, ndim: int) -> Mapping[str, int]:
        """The main heads and their channels."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        wanted = {**self.needs(ndim), **({"cpv": ndim} if self.seeds == "votes" else {})}
        need(heads, wanted, self.kind)

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        """Of the voxels that may be flooded or that vote: what `needed` says of them, and where they vote, `target`."""
        seen = prediction.crop(prediction.core)
        heads = {name: backend.to_numpy(seen[name]) for name in self.needs(seen.ndim)}
        values = self.needed(heads)
        inside = self.inside(values, loose)
        wanted = np.ones(seen.box.shape, bool) if self.everywhere else inside
        chosen: dict[str, NDArray[Any]] = {name: value[wanted] for name, value in values.items()}
        if self.seeds == "votes":
            scale = tuple(1 / s for s in seen.voxel_size) if self.unit == "micrometre" else ()
            vectors = backend.to_numpy(seen.at("cpv", backend.asarray(wanted)))
            chosen["target"] = targets(vectors, np.flatnonzero(wanted), seen, scale, clamp=self.voters == "reference")
        found = Voxels.of(wanted, chosen, seen.box, seen.shape, seen.voxel_size)
        return found if loose else self.cut(found)

    def cut(self, piece: Voxels) -> Voxels:
        """`height` float32, `seed` and `inside` bool, and `target`."""
        values = {name: value for name, value in piece.values.items() if name != "target"}
        height, seed = self.surface(values)
        inside = self.inside(values)
        fresh = {"height": height, "seed": seed, "inside": inside}
        found = piece.valued(fresh | ({"target": piece["target"]} if "target" in piece.values else {}))
        return found if self.everywhere else found.select(inside)

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        flooded = voxels if self.flood == "everything" else voxels.select(voxels["inside"])
        index, height = flooded.index, flooded["height"]
        label = labels(flooded, height, self._seed(voxels, flooded), flooded["inside"])
        own = label > 0
        index, label, depth = index[own], label[own], self.top - height[own].astype(np.float64)
        total = np.bincount(label, weights=np.clip(depth, 0, 1))
        scores = total / np.maximum(np.bincount(label), 1)
        for _ in range(self.dilations):
            index, label = dilate(index, label, voxels.shape)
        return objects(index, label, voxels.shape, scores, self.min_size)

    def _voted(self, voxels: Voxels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Raster indices that somebody votes for, and the votes of each."""
        return counted(voxels["target"] if self.voters == "reference" else voxels["target"][voxels["inside"]])

    def _seed(self, voxels: Voxels, flooded: Voxels) -> NDArray[np.bool_]:
        """Which of the voxels that are flooded are seeds."""
        if self.seeds == "main":
            return np.asarray(flooded["seed"], bool)
        chosen, count = self._voted(voxels)
        return np.isin(flooded.index, chosen[count > self.votes], assume_unique=True)

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """`seeds`: the voxels from which objects grow; `votes`, where they count: how often each is pointed at."""
        seeds, votes = np.zeros((2, 1, *piece.shape), np.float32)
        flooded = piece if self.flood == "everything" else piece.select(piece["inside"])
        seeds.reshape(-1)[flooded.index[self._seed(piece, flooded)]] = 1
        if self.seeds == "main":
            return {"seeds": seeds}
        index, count = self._voted(piece)
        votes.reshape(-1)[index] = count
        return {"seeds": seeds, "votes": votes}

    @property
    def everywhere(self) -> bool:
        """Whether voxels that are no foreground matter, too."""
        return self.flood == "everything" or (self.seeds == "votes" and self.voters == "reference")


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

    def needed(self, heads: Mapping[str, NDArray[np.float32]]) -> Values:
        background, interior, _ = heads["three_label"]
        return {"background": background, "interior": interior}

    def surface(self, values: Values) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return 1 - values["interior"], values["interior"] > self.seed

    def inside(self, values: Values, loose: bool = False) -> NDArray[np.bool_]:
        return 1 - values["background"] > (self.widest("foreground") if loose else self.foreground)


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

    def needed(self, heads: Mapping[str, NDArray[np.float32]]) -> Values:
        return {"sdt": heads["sdt"][0]}

    def surface(self, values: Values) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return values["sdt"], values["sdt"] < self.seed

    def inside(self, values: Values, loose: bool = False) -> NDArray[np.bool_]:
        return values["sdt"] < (self.widest("foreground", up=True) if loose else self.foreground)


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
            raise ValueError(
                f"post-processor {self.kind} reads affinities of face neighbours alone: the model has "
                f"{[list(offset) for offset in offsets]}; see --set postprocess.kind=mutex_watershed"
            )

    def needed(self, heads: Mapping[str, NDArray[np.float32]]) -> Values:
        """`enough`: the least of those affinities that must be high where there is a seed."""
        affinities = heads["affinities"]
        enough = len(affinities) if self.agree == "all" else -(-2 * len(affinities) // 3)
        mean = affinities.mean(0, dtype=np.float32)
        surest = -np.sort(np.nan_to_num(-affinities, nan=np.inf), axis=0)
        return {"mean": mean, "enough": surest[enough - 1], "foreground": heads["foreground"][0]}

    def surface(self, values: Values) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return 1 - values["mean"], values["enough"] > self.seed

    def inside(self, values: Values, loose: bool = False) -> NDArray[np.bool_]:
        return values["foreground"] > (self.widest("foreground") if loose else self.foreground)
