"""The units of the embedding."""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from toolkit.errors import UsageError
from toolkit.survey import Because, Deduced, Survey

ROOM = 1.5
"""One unit of the embedding exceeds the largest object by this factor: tanh reaches its farthest pixel easily."""


def units(grid: int, anisotropy: tuple[float, ...], ndim: int) -> tuple[float, ...]:
    """Length of one voxel along each axis: 1 / (grid − 1), times the anisotropy, so that space is isotropic."""
    scale = anisotropy or (1.0,) * ndim
    if len(scale) != ndim:
        raise UsageError(
            "anisotropy needs one number per spatial axis", f"{list(scale)} in {ndim}-D", "say [] for cubes"
        )
    return tuple(a / (grid - 1) for a in scale)


def shared(survey: Survey) -> Deduced:
    """What loss and clustering must agree on."""
    span = float(survey.spans.max())
    unit = max(64, 2 ** int(np.ceil(np.log2(ROOM * span))))
    size = " × ".join(f"{v:g}" for v in survey.voxel_size) + " µm" if survey.anisotropy else "equal length on all axes"
    return {
        "grid": Because(unit + 1, f"the largest object spans {span:.0f} voxels of the last axis"),
        "anisotropy": Because(list(survey.anisotropy), f"voxels of {size}"),
    }


def start(survey: Survey) -> Because:
    """Raw bandwidth at which φ = .5 at half the span of the median object."""
    radius = float(np.median(survey.spans)) / 2
    sigma = radius / sqrt(2 * log(2)) / (shared(survey)["grid"].value - 1)
    return Because(round(log(1 / (2 * sigma**2)) / 10, 2), f"the median object has a radius of {radius:.1f} voxels")
