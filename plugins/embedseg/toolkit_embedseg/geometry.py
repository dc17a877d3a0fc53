"""The units of the embedding."""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from toolkit.api import Because, Deduced, Survey

ROOM = 1.5
"""One unit of the embedding exceeds the largest object by this factor: tanh reaches its farthest pixel easily."""

WRONG = 1.5
"""An anisotropy that differs from that of the voxels by this factor is a mistake."""


def units(grid: int, anisotropy: tuple[float, ...], ndim: int) -> tuple[float, ...]:
    """Length of one voxel along each axis: 1 / (grid − 1), times the anisotropy, so that space is isotropic."""
    scale = anisotropy or (1.0,) * ndim
    if len(scale) != ndim:
        raise ValueError(f"anisotropy needs one number per spatial axis: {list(scale)} in {ndim}-D; say [] for cubes")
    return tuple(a / (grid - 1) for a in scale)


def fits(anisotropy: tuple[float, ...], voxel_size: tuple[float, ...]) -> None:
    """Raise `ValueError` if voxels of this size, where it is known, are far from this anisotropy."""
    units(2, anisotropy, len(voxel_size))
    own = [v / voxel_size[-1] for v in voxel_size]
    known = max(own) != min(own)
    if known and any(max(a / o, o / a) > WRONG for a, o in zip(anisotropy, own, strict=False)):
        right = [round(o, 4) for o in own]
        raise ValueError(
            f"the voxels are not of this anisotropy: anisotropy={list(anisotropy)}, and theirs is {right}; "
            "set both loss.anisotropy and postprocess.anisotropy, or train with --deduce"
        )


def shared(survey: Survey) -> Deduced:
    """What loss and clustering must agree on."""
    span = float(survey.spans.max())
    unit = max(64, 2 ** int(np.ceil(np.log2(ROOM * span))))
    return {
        "grid": Because(unit + 1, f"the largest object spans {span:.0f} voxels of the last axis"),
        "anisotropy": anisotropy(survey),
    }


def anisotropy(survey: Survey) -> Because:
    """Voxel size relative to that of the last axis."""
    size = " × ".join(f"{v:g}" for v in survey.voxel_size) + " µm" if survey.anisotropy else "equal length on all axes"
    return Because(list(survey.anisotropy), f"voxels of {size}")


def start(survey: Survey) -> Because:
    """Raw bandwidth at which φ = .5 at half the span of the median object."""
    radius = float(np.median(survey.spans)) / 2
    sigma = radius / sqrt(2 * log(2)) / (shared(survey)["grid"].value - 1)
    return Because(round(log(1 / (2 * sigma**2)) / 10, 2), f"the median object has a radius of {radius:.1f} voxels")
