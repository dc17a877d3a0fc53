"""Read label images: one label per voxel, layers of labels, or one plane per object."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.axes import arrange, checked, named
from toolkit.io.image import measured, open_raster
from toolkit.io.paths import is_zarr
from toolkit.io.points import is_points, read_points
from toolkit.io.raster import Raster
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

_log = logging.getLogger(__name__)


def read_truth(
    path: str | Path,
    axes: str | None = None,
    voxel_size: Sequence[float] = (),
    void: str | Path | None = None,
    shape: Sequence[int] | None = None,
) -> Truth:
    """Annotation of a whole image from a label image, or from a table of points (`toolkit.io.points`).

    `axes`: "YX" or "ZYX" labels, −1 = unannotated; "QYX", "QZYX": one plane per object, nonzero = inside;
    "LYX", "LZYX": layers with ids unique over layers. `voxel_size` is in micrometres, default: what the file says.
    `void` is a file of the same spatial shape, nonzero = unknown. `shape` is that of the image, which a table of points
    does not say. Raises `InputError` if a file is missing, damaged or no label image.
    """
    path = Path(path)
    mask = None if void is None else _void(Path(void))
    if is_points(path):
        if shape is None:
            raise InputError(
                "a table of points does not say how large its image is", path, "put it into masks/ of a data set"
            )
        _same(path, tuple(shape), void, mask)
        return read_points(path, shape, mask, voxel_size)
    if has_instances(path):
        from toolkit.io.zarrinstances import read_zarr_instances

        instances, size = read_zarr_instances(path)
        _same(path, instances.shape, void, mask)
        return Truth.from_instances(instances, void=mask, voxel_size=tuple(voxel_size) or size)
    stack, kind, raster = _stack(path, axes)
    size, _ = measured(raster, "ZYX"[-(stack.ndim - 1) :], voxel_size or None)
    _same(path, stack.shape[1:], void, mask)
    if kind == "Q":
        return Truth.from_planes(stack, void=mask, voxel_size=size)
    return Truth.from_layers(_narrow(stack), void=mask, voxel_size=size)


def read_instances(path: str | Path, axes: str | None = None) -> Instances:
    """The objects of a label file (see `read_truth`) or of the `.zarr` folder of a run, then with their scores."""
    path = Path(path)
    if has_instances(path):
        from toolkit.io.zarrinstances import read_zarr_instances

        return read_zarr_instances(path)[0]
    stack, kind, _ = _stack(path, axes)
    return Instances.from_planes(stack) if kind == "Q" else Instances.from_layers(stack)


def has_instances(path: Path) -> bool:
    """Whether `path` is the lossless result of a run."""
    return path.is_dir() and is_zarr(path / "instances")


def _stack(path: Path, axes: str | None) -> tuple[NDArray[Any], str, Raster]:
    """Layers or planes `(N, *shape)` of integers, and which of the two: "L" or "Q"."""
    raster = open_raster(path)
    if raster.images > 1:  # all but the first would be lost in silence
        raise InputError(
            f"the labels are {raster.images} images of different shapes", path, "give all planes one shape"
        )
    letters, notes = named(raster, None if axes is None else checked(axes, "LQ"), "LQ")
    kind = "Q" if "Q" in (axes or letters).upper() else "L"
    source = arrange(path, raster.source, letters, kind + ("ZYX" if "Z" in letters else "YX"))
    stack = np.asarray(source[(slice(None),) * len(source.shape)])
    for note in notes:
        _log.info("%s: %s", path, note)
    if stack.dtype.kind == "f":
        whole = np.isfinite(stack).all() and bool((stack == np.rint(stack)).all()) and bool((abs(stack) < 2**63).all())
        if not whole:
            raise InputError("a label image holds whole numbers, but this one has others", path, "check the file")
        _log.warning("%s: the labels are stored as %s; they were read as whole numbers", path, stack.dtype)
        stack = stack.astype(np.int64)
    if stack.dtype == bool:
        stack = stack.astype(np.uint8)
    if stack.dtype.kind == "i" and (low := int(stack.min())) < (0 if kind == "Q" else UNANNOTATED):
        raise InputError(f"a label image may hold -1 (unannotated), but this one holds {low}", path, "check the file")
    return stack, kind, raster


def _narrow(stack: NDArray[Any]) -> NDArray[np.int32]:
    """The labels as int32, renumbered if they do not fit; a label keeps one number in all layers."""
    if stack.dtype.itemsize < 4 or int(stack.max()) <= np.iinfo(np.int32).max:
        return stack.astype(np.int32)
    import fastremap

    unknown = stack == UNANNOTATED if stack.dtype.kind == "i" else None
    wide = np.ascontiguousarray(stack, np.uint64 if unknown is None else np.int64)
    if unknown is not None:
        wide = np.where(unknown, 0, wide)
    narrow = fastremap.renumber(wide, preserve_zero=True)[0].astype(np.int32)
    if unknown is not None:
        narrow[unknown] = UNANNOTATED
    return narrow


def _void(path: Path) -> NDArray[np.bool_]:
    stack, _, _ = _stack(path, None)
    return np.asarray(stack.any(axis=0))


def _same(path: Path, shape: tuple[int, ...], void: str | Path | None, mask: NDArray[np.bool_] | None) -> None:
    if mask is not None and mask.shape != shape:
        raise InputError(f"the labels have shape {shape} and their void mask {mask.shape}", f"{path}, {void}")
