"""Shapes of objects: columns of the table that are measured on request."""

from __future__ import annotations

from math import pi, prod

import numpy as np
from numpy.typing import NDArray

from toolkit.values.image import Image
from toolkit.values.instances import Instances

Column = NDArray[np.float64]


def shape(instances: Instances, image: Image) -> dict[str, Column]:
    """One value per object; lengths in voxels and in micrometres, which are NaN where the voxel size is unknown.

    `equivalent_diameter`: of the disc or ball of equal size. 2-D: `perimeter` (along the middles of border pixels, as
    scikit-image has it; in micrometres only where pixels are square), `major_axis` and `minor_axis` of the ellipse with
    the same second moments, its `eccentricity`, its `orientation` in degrees from the x axis towards smaller y, −90 to
    90. 3-D: `surface` of the mesh at half height, `sphericity` (1 for a ball). Both: `solidity`, the share of the
    convex hull that an object fills, NaN where that is flat.
    """
    known = np.array(image.voxel_size) if image.calibrated else np.full(image.ndim, np.nan)
    columns = _diameters(instances, known)
    rows = [_single(instances, index, known) for index in range(len(instances))]
    names = ("perimeter_px", "perimeter_um") if image.ndim == 2 else ("surface_px2", "surface_um2", "sphericity")
    measured = np.array(rows, np.float64).reshape(len(instances), len(names) + 1).T
    columns |= dict(zip((*names, "solidity"), measured, strict=True))
    return columns | (_ellipses(instances, known) if image.ndim == 2 else {})


def _diameters(instances: Instances, known: Column) -> dict[str, Column]:
    ndim = len(known)
    size = instances.sizes.astype(np.float64)
    ball = pi / 4 if ndim == 2 else pi / 6
    return {
        "equivalent_diameter_px": (size / ball) ** (1 / ndim),
        "equivalent_diameter_um": (size * prod(known) / ball) ** (1 / ndim),
    }


def _ellipses(instances: Instances, known: Column) -> dict[str, Column]:
    """From second moments of the middles of pixels, exact over runs."""
    n, length = len(instances), instances.length.astype(np.float64)
    y, x = (v.astype(np.float64) for v in np.unravel_index(instances.start, instances.shape))
    middle = instances.centroids[instances.owner]
    across, along = y - middle[:, 0], x + (length - 1) / 2 - middle[:, 1]
    size = np.maximum(instances.sizes, 1)

    def mean(values: Column) -> Column:
        return np.bincount(instances.owner, values, n) / size

    yy = mean(length * across**2)
    xx = mean(length * along**2 + length * (length**2 - 1) / 12)
    xy = mean(length * across * along)
    spread = np.sqrt((yy - xx) ** 2 + 4 * xy**2)
    major, minor = (yy + xx + spread) / 2, np.maximum(0, yy + xx - spread) / 2
    scale = known[0] if known[0] == known[1] else np.nan
    return {
        "major_axis_px": 4 * np.sqrt(major),
        "minor_axis_px": 4 * np.sqrt(minor),
        "major_axis_um": 4 * np.sqrt(major) * scale,
        "minor_axis_um": 4 * np.sqrt(minor) * scale,
        "eccentricity": np.sqrt(np.maximum(0, 1 - minor / np.where(major > 0, major, np.inf))) * (major > 0),
        "orientation": np.degrees(np.arctan2(-2 * xy, xx - yy) / 2),
    }


def _single(instances: Instances, index: int, known: Column) -> tuple[float, ...]:
    """What needs the mask of an object: its border and its convex hull."""
    from skimage.measure import marching_cubes, mesh_surface_area, perimeter

    _, mask = instances.mask(index)
    padded = np.pad(mask, 1)
    if mask.ndim == 2:
        border = float(perimeter(padded, neighborhood=4))  # type: ignore[no-untyped-call]
        return border, border * (known[0] if known[0] == known[1] else np.nan), _solidity(mask)
    corners, faces, _, _ = marching_cubes(padded.astype(np.float32), 0.5)  # type: ignore[no-untyped-call]
    size = known if np.isfinite(known).all() else np.ones(3)
    surface = float(mesh_surface_area(corners, faces))  # type: ignore[no-untyped-call]
    physical = float(mesh_surface_area(corners * size, faces))  # type: ignore[no-untyped-call]
    ball = pi ** (1 / 3) * (6 * float(mask.sum()) * prod(size)) ** (2 / 3)
    return surface, physical if np.isfinite(known).all() else np.nan, ball / physical, _solidity(mask)


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Share of the convex hull of the faces of its voxels that an object fills; corners would be too many for balls."""
    from scipy.spatial import ConvexHull, QhullError

    border = np.argwhere(mask & ~_inside(mask))
    around = np.concatenate([np.eye(mask.ndim), -np.eye(mask.ndim)]) / 2
    faces = np.unique((border[:, None] + around).reshape(-1, mask.ndim), axis=0)
    try:
        return min(1.0, float(mask.sum() / ConvexHull(faces).volume))
    except QhullError:
        return float("nan")


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels all of whose neighbours over faces are in the mask."""
    padded = np.pad(mask, 1)
    inner = np.ones_like(mask)
    for axis in range(mask.ndim):
        for low in (0, 2):
            at = [slice(1, -1)] * mask.ndim
            at[axis] = slice(low, low + mask.shape[axis])
            inner &= padded[tuple(at)]
    return inner
