"""The units of the embedding."""

from __future__ import annotations

from toolkit.errors import UsageError


def units(grid: int, anisotropy: tuple[float, ...], ndim: int) -> tuple[float, ...]:
    """Length of one voxel along each axis: 1 / (grid − 1), times the anisotropy, so that space is isotropic."""
    scale = anisotropy or (1.0,) * ndim
    if len(scale) != ndim:
        raise UsageError("anisotropy needs one number per spatial axis", f"{list(scale)} in {ndim}-D", "see METHODS")
    return tuple(a / (grid - 1) for a in scale)
