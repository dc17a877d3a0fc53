"""Objects from affinities by the mutex watershed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from toolkit.builtin.postprocessors.components import STEPS, Component
from toolkit.builtin.postprocessors.from_affinities import FromAffinities
from toolkit.plugins.gathering import need
from toolkit.plugins.search import Search
from toolkit.steps.survey import Fit, Survey
from toolkit.values.offsets import Offset, at_offset
from toolkit.values.prediction import Head

Offsets = tuple[tuple[int, ...], ...]
REACHES = (1, 3, 9, 27)


def usual_offsets(ndim: int) -> Offsets:
    """−1, −3, −9 and −27 voxels along each axis, nearest first."""
    return tuple(tuple(-reach if a == axis else 0 for a in range(ndim)) for reach in REACHES for axis in range(ndim))


class MutexWatershed(FromAffinities):
    """Mutex watershed (Wolf et al. 2018) of head `affinities`, each connected component of the foreground by itself.

    Channel k of the head is the probability that voxels x and x + offsets[k] are in one object. Affinities above
    `bias` merge and those below split, the surest first; beyond the face neighbours they only split, unless
    `far_merges`. Foreground is head `foreground` or, without it, the mean affinity to the face neighbours. Exact.
    Score: mean foreground probability.
    """

    kind: Literal["mutex_watershed"] = "mutex_watershed"
    title: ClassVar[str] = "mutex watershed"
    citation: ClassVar[str] = (
        "Wolf et al., The Mutex Watershed: Efficient, Parameter-Free Image Partitioning, ECCV 2018"
    )
    shaping: ClassVar[tuple[str, ...]] = ("offsets",)

    offsets: Offsets | None = None
    """The pairs that the channels stand for, `(Z)YX`; null is −1, −3, −9, −27 along each axis."""
    bias: Annotated[float, Field(gt=0, lt=1), Search(0.1, 0.9)] = 0.5
    """Affinity that neither merges nor splits."""
    far_merges: bool = False
    """Let pairs merge that are not face neighbours."""

    @field_validator("offsets")
    @classmethod
    def _some_neighbours(cls, offsets: Offsets | None) -> Offsets | None:
        if offsets is not None and not any(_near(offset) for offset in offsets):
            raise ValueError("offsets must hold face neighbours, such as [0, -1]: nothing else can merge")
        return offsets

    def suits(self, survey: Survey) -> Fit | None:
        return Fit(0.75 if survey.bent else 0.65, survey.shape) if survey.objects else None

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"affinities": None}, self.kind)
        head, offsets = heads["affinities"], self.offsets or usual_offsets(ndim)
        if head.channels != len(offsets) or (head.offsets is not None and head.offsets != offsets):
            has = [list(offset) for offset in head.offsets] if head.offsets else f"{head.channels} channels"
            raise ValueError(
                f"the offsets are not those of the model's head affinities, which has {has}: "
                f"offsets={[list(offset) for offset in offsets]}"
            )

    def near(self, ndim: int) -> list[int]:
        return [k for k, offset in enumerate(self.offsets or usual_offsets(ndim)) if _near(offset)]

    def pairs(self, ndim: int) -> Sequence[tuple[int, Offset]]:
        offsets = self.offsets or usual_offsets(ndim)
        return [(channel, offsets[channel]) for channel in self.near(ndim)]

    def split(self, component: Component) -> NDArray[Any]:
        # A component that is smaller than an offset has no such pair, and mwatershed panics at one.
        all_offsets = self.offsets or usual_offsets(component.mask.ndim)
        fits = [all(abs(o) < n for o, n in zip(offset, component.mask.shape, strict=True)) for offset in all_offsets]
        offsets = [offset for offset, fit in zip(all_offsets, fits, strict=True) if fit]
        if not offsets:
            return component.mask
        weights = component.values("affinities")[fits] / STEPS - self.bias
        for weight, offset in zip(weights, offsets, strict=True):
            weight[~(component.mask & at_offset(component.mask, offset))] = 0
            if not (self.far_merges or _near(offset)):
                np.minimum(weight, 0, out=weight)
        return partition(weights, offsets, component.mask)


def partition(weights: NDArray[Any], offsets: Sequence[Offset], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Mutex watershed (Wolf et al. 2018): labels of `mask`, every voxel of it in an object.

    `weights` are `(K, *S)`, positive for pairs that belong together, negative for those that do not, 0 for no pair.
    """
    import mwatershed

    labels = np.asarray(mwatershed.agglom(weights, offsets=[list(offset) for offset in offsets])).astype(np.int64)
    # mwatershed gives 0 to a voxel that nothing merged with, also beside another such voxel.
    alone = mask & (labels == 0)
    labels[alone] = labels.max() + 1 + np.arange(np.count_nonzero(alone))
    return labels


def _near(offset: Offset) -> bool:
    return sum(map(abs, offset)) == 1
