"""Objects from affinities of face neighbours: a watershed makes fragments, which are merged."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from threading import Lock
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.postprocessors.components import STEPS, Component
from toolkit.builtin.postprocessors.from_affinities import FromAffinities
from toolkit.builtin.postprocessors.mutex import Offsets, usual_offsets
from toolkit.errors import UsageError
from toolkit.plugins.gathering import need
from toolkit.plugins.search import Search
from toolkit.steps.survey import Fit, Survey
from toolkit.values.offsets import Offset
from toolkit.values.prediction import Head

SCORE = "OneMinus<HistogramQuantileAffinity<RegionGraphType, {}, ScoreValue, 256, false>>"
_SILENCE = Lock()


class Agglomeration(FromAffinities):
    """Watershed fragments, merged in the order of a quantile of the affinities between them (Funke et al. 2019), by
    waterz: `pip install 'seg-toolkit[waterz]'`. Each connected component of the foreground by itself. Exact.

    Reads the channels of head `affinities` that are of face neighbours, one per axis. Foreground is head `foreground`
    or, without it, their mean; with `fragments: slices` the mean of those in the plane. Score: mean foreground
    probability. It takes some 60 bytes per voxel of the box of a component.
    """

    kind: Literal["agglomeration"] = "agglomeration"
    title: ClassVar[str] = "agglomeration"
    citation: ClassVar[str] = (
        "Funke et al., Large Scale Image Segmentation with Structured Loss Based Deep Learning for Connectome "
        "Reconstruction, TPAMI 2019"
    )
    shaping: ClassVar[tuple[str, ...]] = ("offsets", "fragments")

    offsets: Offsets | None = None
    """The pairs that the channels stand for, `(Z)YX`; null is −1, −3, −9, −27 along each axis."""
    fragments: Literal["slices", "volume"] = "volume"
    """Whether planes are flooded one by one, for thick slices, or the volume as a whole."""
    inside: Annotated[float, Field(ge=0, lt=1), Search(0.1, 0.9)] = 0.5
    """Voxels with a mean affinity above this are inside: fragments begin where they are farthest from all others."""
    dust: Annotated[int, Field(ge=0), Search(1, 200, log=True, step=1)] = 1
    """Fragments of fewer voxels are given to their neighbours before any are merged."""
    quantile: Annotated[int, Field(ge=10, le=95, multiple_of=5)] = 50
    """Which of the affinities between two fragments counts, in percent from below."""
    threshold: Annotated[float, Field(gt=0, lt=1), Search(0.05, 0.95)] = 0.5
    """Fragments are merged while 1 − this quantile is below it: higher merges more."""

    def suits(self, survey: Survey) -> Fit | None:
        return Fit(0.6, survey.shape) if survey.objects else None

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"affinities": None}, self.kind)
        head, offsets = heads["affinities"], self.offsets or usual_offsets(ndim)
        if head.channels != len(offsets) or (head.offsets is not None and head.offsets != offsets):
            has = [list(offset) for offset in head.offsets] if head.offsets else f"{head.channels} channels"
            raise ValueError(f"the offsets are not those of the model's head affinities, which has {has}")
        self._near(ndim)

    def _near(self, ndim: int) -> list[tuple[int, int]]:
        """Per axis the channel of its face neighbour, and whether that is the previous one, −1, or the next, 1."""
        offsets = self.offsets or usual_offsets(ndim)
        found = []
        for axis in range(ndim):
            for sign in (-1, 1):
                offset = tuple(sign if a == axis else 0 for a in range(ndim))
                if offset in offsets:
                    found.append((offsets.index(offset), sign))
                    break
            else:
                raise ValueError(f"offsets must hold face neighbours along each axis, such as {list(offset)}")
        return found

    def _plane(self, ndim: int) -> int:
        """The first of the axes whose affinities tell where a boundary is."""
        return 1 if self.fragments == "slices" and ndim == 3 else 0

    def near(self, ndim: int) -> list[int]:
        return [channel for channel, _ in self._near(ndim)[self._plane(ndim) :]]

    def pairs(self, ndim: int) -> Sequence[tuple[int, Offset]]:
        offsets = self.offsets or usual_offsets(ndim)
        return [(channel, offsets[channel]) for channel, _ in self._near(ndim)]

    def split(self, component: Component) -> NDArray[Any]:
        from toolkit.builtin.postprocessors.fragments import fragments

        mask, near = component.mask, self._near(component.mask.ndim)
        affinity = component.values("affinities")[[channel for channel, _ in near]]
        for axis, (_, sign) in enumerate(near):
            if sign > 0:  # that of x and x + 1 is that of x + 1 and the previous one
                affinity[axis] = np.roll(affinity[axis], 1, axis)
        plane = affinity[self._plane(mask.ndim) :]
        total = plane.sum(0, dtype=np.int32)
        boundary = STEPS * len(plane) - total
        spacing = component.whole.voxel_size or (1.0,) * mask.ndim
        inside = mask & (total > self.inside * STEPS * len(plane))
        label = fragments(boundary, inside, mask, spacing, self.fragments == "slices", self.dust)
        return merged((affinity / STEPS).astype(np.float32), label, self.threshold, self.quantile)


def merged(
    affinity: NDArray[np.float32], fragments: NDArray[np.int64], threshold: float, quantile: int = 50
) -> NDArray[np.int64]:
    """Fragments `(*S)` merged by waterz; `affinity` `(D, *S)` is that of each voxel and the previous one along an axis.

    Raises `UsageError` where waterz is not installed.
    """
    try:
        import waterz
    except ImportError as error:
        raise UsageError(
            "agglomeration needs waterz, which is not installed",
            "postprocess.kind=agglomeration",
            "pip install 'seg-toolkit[waterz]', or --set postprocess.kind=mutex_watershed",
        ) from error

    shape = fragments.shape
    if fragments.max(initial=0) < 2:
        return fragments
    if len(shape) == 2:
        affinity = np.stack([np.zeros_like(affinity[:1]), affinity[:1], affinity[1:]])[:, 0]
    volume = np.ascontiguousarray(affinity.reshape(3, *(1, *shape)[-3:]), np.float32)
    label = np.ascontiguousarray(fragments.reshape(volume.shape[1:]), np.uint64)
    with _silent():
        (found,) = waterz.agglomerate(volume, [threshold], fragments=label, scoring_function=SCORE.format(quantile))
    return np.asarray(found, np.int64).reshape(shape)


@contextmanager
def _silent() -> Iterator[None]:
    """What is written to the standard output in here is lost: waterz talks there, where a command puts its result."""
    with _SILENCE:
        sys.stdout.flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            with redirect_stdout(StringIO()):
                yield
        finally:
            ctypes.CDLL(None).fflush(None)  # what the library holds back would come out later
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
