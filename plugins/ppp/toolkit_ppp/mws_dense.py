"""MWS-Dense: the ablation without consensus and without selection (paper, Table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import (
    STEPS,
    Backend,
    Component,
    Deduced,
    Fit,
    FromForeground,
    Head,
    Instances,
    Prediction,
    Search,
    Survey,
    Voxels,
    at_offset,
    divide,
    mutex_partition,
    rounded,
)
from toolkit_ppp.fitting import fitting
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
    overlap_threshold: Annotated[float, Field(gt=0, lt=1), Search(0.05, 0.9)] = 0.5
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

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        from toolkit_ppp.kept import foreground

        seen = prediction.crop(prediction.core)
        probability = foreground(seen)
        if probability is None:
            probability = seen["patches"][self._options.voxels // 2]
        where = probability > (self.widest("foreground") if loose else self._options.foreground)
        several = seen["numinst"][2][where] if "numinst" in seen else backend.xp.zeros(int(where.sum()), np.float32)
        values = {
            "foreground": probability[where][:, None],
            "several": several[:, None],
            "patches": seen.at("patches", where),
        }
        there = {name: backend.to_numpy(value) for name, value in values.items()}
        found = Voxels.of(backend.to_numpy(where), there, seen.box, seen.shape, seen.voxel_size)
        return found if loose else self.cut(found)

    def cut(self, piece: Voxels) -> Voxels:
        found = piece.select(piece["foreground"][:, 0] > self._options.foreground)
        own = (~(found["several"] > self.overlap_threshold)).astype(np.float32)
        return rounded(found.valued({"foreground": found["foreground"], "patches": found["patches"], "own": own}))

    def reach(self) -> int:
        return 1

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        return divide(voxels, self._split, self.min_size)

    def _split(self, component: Component) -> NDArray[Any]:
        """Labels of the objects of a component."""
        shape, middle = component.mask.shape, tuple(n // 2 for n in self.patch)
        every = [tuple(a - m for a, m in zip(at, middle, strict=True)) for at in product(*map(range, self.patch))]
        # A component that is smaller than an offset has no such pair, and mwatershed panics at one.
        fits = [any(o) and all(abs(a) < n for a, n in zip(o, shape, strict=True)) for o in every]
        offsets = [o for o, fit in zip(every, fits, strict=True) if fit]
        weights = component.values("patches")[fits] / STEPS - 0.5
        weights[:, component.values("own")[0] == 0] = 0
        for weight, offset in zip(weights, offsets, strict=True):
            # Zeros say nothing: the other end is no foreground.
            weight[~at_offset(component.mask, offset)] = 0
        return mutex_partition(weights, offsets, component.mask)
