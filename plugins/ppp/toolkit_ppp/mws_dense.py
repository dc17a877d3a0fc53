"""MWS-Dense: the ablation without consensus and without selection (paper, Table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.postprocessors.foreground import STEPS, Foreground, Piece, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.builtin.postprocessors.mutex import partition
from toolkit.gpu.backend import Backend
from toolkit.plugins.specs import Search
from toolkit.steps.survey import Deduced, Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.offsets import seen_from
from toolkit.values.prediction import Head, Prediction
from toolkit_ppp.fitting import fitting
from toolkit_ppp.foreground import foreground
from toolkit_ppp.options import Extent
from toolkit_ppp.patchperpix import PatchPerPix


class DenseMutexWatershed(FromForeground):
    """Mutex watershed of the values of all patches, each connected component of the foreground by itself.

    The value of the patch of pixel x at offset d is an affinity of x and x + d that attracts with p and repels with
    1 − p (paper, 3.2). As the greater of the two is looked at first and settles the pair, it attracts above 1/2 and
    repels below. Pixels of several objects have no values of their own. Objects share no pixel; their score is the mean
    probability of foreground. It takes some 40 bytes per value of the box of a component.
    """

    kind: Literal["ppp_mws_dense"] = "ppp_mws_dense"
    patch: tuple[Extent, ...] = (25, 25)
    """Shape of a patch in voxels, `(Z)YX`; every extent is odd (paper, 2)."""
    overlap_threshold: Annotated[float, Field(gt=0, lt=1), Search(0.1, 0.9)] = 0.5
    """Pixels where `numinst` says ≥ 2 with more than this probability have no patch of their own (paper, 2.3)."""
    min_size: Annotated[int, Field(ge=1), Search(1, 200, log=True, step=1)] = 1
    """Objects of fewer voxels are dropped."""

    def deduced(self, survey: Survey) -> Deduced:
        return {"patch": fitting(survey)} if survey.objects else {}

    def suits(self, survey: Survey) -> Fit | None:
        return Fit(0.3, "it is an ablation of the paper") if survey.objects else None

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        self._options.check(heads, ndim)

    @property
    def _options(self) -> PatchPerPix:
        return PatchPerPix(
            patch=self.patch, foreground=max(self.foreground, 1e-6), overlap_threshold=self.overlap_threshold
        )

    def gather(self, prediction: Prediction, backend: Backend) -> Foreground:
        heads, options = prediction.heads, self._options
        inside, own = foreground(prediction, options)
        if "foreground" in heads:
            probability = heads["foreground"]
        elif "numinst" in heads:
            probability = 1 - heads["numinst"][:1]
        else:
            probability = heads["patches"][options.voxels // 2][None]
        seen = {"patches": heads["patches"], "own": own[None].astype(np.float32), "foreground": probability}
        return Foreground.of(replace(prediction, heads=seen), inside, list(seen), backend)

    def divide(self, foreground: Foreground) -> Instances:
        return divide(foreground, self._split, self.min_size)

    def _split(self, piece: Piece) -> NDArray[Any]:
        """Labels of the objects of a piece."""
        shape, middle = piece.mask.shape, tuple(n // 2 for n in self.patch)
        every = [tuple(a - m for a, m in zip(at, middle, strict=True)) for at in product(*map(range, self.patch))]
        # A piece that is smaller than an offset has no such pair, and mwatershed panics at one.
        fits = [any(o) and all(abs(a) < n for a, n in zip(o, shape, strict=True)) for o in every]
        offsets = [o for o, fit in zip(every, fits, strict=True) if fit]
        weights = piece.values("patches")[fits] / STEPS - 0.5
        weights[:, piece.values("own")[0] == 0] = 0
        for weight, offset in zip(weights, offsets, strict=True):
            # Zeros say nothing: the other end is no foreground.
            weight[~seen_from(piece.mask, offset)] = 0
        return partition(weights, offsets, piece.mask)
