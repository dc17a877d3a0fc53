"""From embeddings to instances: seeds, from the surest on, collect the pixels that embed themselves near them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import (
    Backend,
    Because,
    Deduced,
    Fit,
    Gathering,
    Head,
    Instances,
    Loss,
    Marks,
    Pass,
    Prediction,
    Search,
    Survey,
    Thought,
    Voxels,
    need,
)
from toolkit_embedseg.geometry import anisotropy, shared, units
from toolkit_embedseg.loss import EmbedSegLoss


class EmbedSegClusters(Gathering):
    """Clustering of the EmbedSeg paper (§2, App. B). Exact: any blocks give the same instances.

    S = pixels with seediness > `foreground`. Repeat: the surest pixel of S, unless below `seed`, is a seed; the pixels
    of S with φ > .5 around its embedding, with its bandwidth, are an instance and leave S. Equal seediness goes to the
    first pixel in raster order. An instance's score is the seediness of its seed.
    """

    kind: Literal["embedseg"] = "embedseg"
    shows: ClassVar[tuple[str, ...]] = ("seeds", "selection")
    seed: Annotated[float, Field(ge=0, lt=1), Search(0.5, 0.95)] = 0.9
    """Least seediness of a seed (paper: s_min = .9)."""
    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5
    """Seediness that an object's pixel exceeds (paper: s_fg = .5)."""
    claim: Literal["remove", "overwrite"] = "remove"
    """`remove`: an instance takes its pixels out of S (paper). `overwrite` (reference): a seed proposes all foreground
    pixels near it, taken or not; the proposal is accepted if more than half of it, its seed not counted, is free, and
    then overwrites earlier labels; accepted or not, it is no longer free."""
    seeds: Literal["greedy", "local_maxima"] = "greedy"
    """`greedy`: any pixel may be a seed (paper). `local_maxima` (reference): only those of the seediness, smoothed with
    a Gaussian of one voxel; `seed` does not apply, `foreground` does."""
    min_size: Annotated[int, Field(ge=1), Search(1, 60, step=1)] = 1
    """Objects of fewer voxels are dropped; the paper takes the smallest object of training and validation data."""
    grid: Annotated[int, Field(ge=2)] = 1024
    """As in the loss: one unit of the embedding is grid − 1 voxels."""
    anisotropy: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """As in the loss: voxel size relative to that of the last axis; empty means isotropic."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"offsets": ndim, "bandwidth": ndim, "seediness": 1}, self.kind)
        units(self.grid, self.anisotropy, ndim)

    def disagrees(self, loss: Loss) -> str | None:
        if not isinstance(loss, EmbedSegLoss):
            return None
        for name in ("grid", "anisotropy"):
            mine, learnt = getattr(self, name), getattr(loss, name)
            if mine != learnt:
                return f"loss.{name} and postprocess.{name} must be equal, and they are {learnt} and {mine}"
        return None

    def deduced(self, survey: Survey) -> Deduced:
        if not survey.objects:
            return {"anisotropy": anisotropy(survey)}
        return {**shared(survey), "min_size": Because(int(survey.sizes.min()), "the smallest object")}

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        if survey.bent:
            return Fit(0.4, f"{survey.shape}, and it looks for ellipses")
        return Fit(0.9, survey.shape)

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        """`offset` `(P, D)` in units of the embedding, `inverse` `(P, D)` = 1/(2σ²) in the same units and `seediness`
        `(P,)` of the foreground pixels, float32."""
        seen = prediction.crop(prediction.core)
        inside = seen["seediness"][0] > (self.widest("foreground") if loose else self.foreground)
        offset, bandwidth, seediness = (
            backend.to_numpy(seen.at(name, inside)) for name in ("offsets", "bandwidth", "seediness")
        )
        values = {
            "offset": np.ascontiguousarray(offset, np.float32),
            # e^60 is a bandwidth far below a voxel; beyond float32 ends.
            "inverse": np.exp(np.clip(10 * np.ascontiguousarray(bandwidth), -60, 60)).astype(np.float32),
            "seediness": seediness[:, 0],
        }
        return Voxels.of(backend.to_numpy(inside), values, seen.box, seen.shape, seen.voxel_size)

    def cut(self, piece: Voxels) -> Voxels:
        return piece.select(piece["seediness"] > self.foreground)

    @property
    def _by_blocks(self) -> bool:
        return self.seeds == "greedy" and self.claim == "remove"

    def holds(self) -> float:
        return 0 if self._by_blocks else 55

    def works(self) -> float:
        """Measured on balls: 50 to 70 by blocks."""
        return 56 if self._by_blocks else 40

    def beyond(self) -> float:
        """Twice the reach of a seed, and as far as pixels embed themselves away."""
        return 1.5

    def passes(self) -> tuple[Pass, ...]:
        """How far embeddings and seeds reach → the instances of each block that are certain, and the rest."""
        if not self._by_blocks:
            return super().passes()
        from toolkit_embedseg import blocks

        step = partial(units, self.grid, self.anisotropy)
        return blocks.passes(blocks.How(step, self.seed, self.min_size, self.settle))

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        label, seeds = self._clustered(voxels, backend)
        return voxels.labelled(label, voxels["seediness"][seeds])

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """`seeds`: around the embedding of each seed the ellipse φ = .5 of its bandwidth; `selection`: lines from the
        seeds to there."""
        seeds = self._clustered(piece, backend)[1]
        step = np.array(units(self.grid, self.anisotropy, len(piece.shape)))
        place = np.stack([axis[seeds] for axis in piece.where], axis=1)
        there = place + piece["offset"][seeds] / step
        radius, sure = np.sqrt(np.log(2) / piece["inverse"][seeds]) / step, piece["seediness"][seeds]
        return {"seeds": Marks("ellipses", there, radius, sure), "selection": Marks("lines", place, there, sure)}

    def _clustered(self, voxels: Voxels, backend: Backend) -> tuple[NDArray[Any], NDArray[Any]]:
        """Label of each voxel, below 0 for none, and the seed of each label."""
        from toolkit_embedseg.greedy import Rule, cluster, local_maxima, surest

        shape, seediness = voxels.shape, voxels["seediness"]
        if self.seeds == "local_maxima":
            start = local_maxima(voxels.index, seediness, shape)
        else:
            start = surest(seediness, self.seed)
        rule = Rule(self.min_size, overwrite=self.claim == "overwrite")
        return cluster(
            voxels.start, voxels.length, voxels["offset"], voxels["inverse"],
            np.array(units(self.grid, self.anisotropy, len(shape))), shape, start, rule, backend,
        )  # fmt: skip
