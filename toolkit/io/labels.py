"""Read label images: one label per voxel, layers of labels, or one plane per object."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.axes import arrange, checked, named, no_colours
from toolkit.io.contours import is_contours, read_contours
from toolkit.io.image import measured, open_raster
from toolkit.io.lossy import refuse_lossy
from toolkit.io.paths import is_zarr
from toolkit.io.points import is_points, read_points
from toolkit.io.raster import SMALL, Raster, nbytes
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

_log = logging.getLogger(__name__)
REFUSED = {
    "_seg.npy": "Cellpose's _seg.npy is a Python pickle, which may run code",
    ".npy": "NumPy files are not read as labels",
    ".json": "JSON is read as labels only where it is GeoJSON and called so",
}
"""Endings of label files that are known and not read."""


def read_truth(
    path: str | Path,
    axes: str | None = None,
    voxel_size: Sequence[float] = (),
    void: str | Path | None = None,
    shape: Sequence[int] | None = None,
    channels: bool | None = None,
) -> Truth:
    """Annotation of a whole image from a label image, from a table of points (`toolkit.io.points`) or from outlines
    (`toolkit.io.contours`).

    `axes`: "YX" or "ZYX" labels, −1 = unannotated; "QYX", "QZYX": one plane per object, nonzero = inside;
    "LYX", "LZYX": layers with ids unique over layers. `voxel_size` is in micrometres, default: what the file says.
    `void` is a file of the same spatial shape, nonzero = unknown. `shape` is that of the image, which points and
    outlines do not say. `channels` says whether those of a file are layers, wherever they stand in it; by default
    they are what `axes` says, by position. Raises `InputError` if a file is missing, damaged or no label image.
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
    if is_contours(path):
        if shape is None:
            raise InputError("outlines do not say how large their image is", path, "put them into masks/ of a data set")
        instances = read_contours(path, shape)
        _same(path, instances.shape, void, mask)
        return Truth.from_instances(instances, void=mask, voxel_size=tuple(voxel_size))
    if has_instances(path):
        from toolkit.io.zarrinstances import read_zarr_instances

        instances, size = read_zarr_instances(path)
        _same(path, instances.shape, void, mask)
        return Truth.from_instances(instances, void=mask, voxel_size=tuple(voxel_size) or size)
    stack, kind, raster = _stack(path, axes, shape, channels)
    spatial = "ZYX"[-(stack.ndim - 1 - ("T" in raster.axes and stack.ndim > 3)) :]
    size, _ = measured(raster, spatial, voxel_size or None)
    size = (1.0,) * (stack.ndim - 1 - len(size)) + size
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


def stored(
    path: Path, axes: str | None, shape: Sequence[int] | None = None, channels: bool | None = None
) -> tuple[NDArray[Any], str, Raster]:
    """Layers or planes `(N, *shape)` with the numbers of the file, and which of the two: "L" or "Q".

    A large file that cannot be labels of an image of `shape` is not even read. Raises `InputError` for what is no label
    image: an image, colours, channels that are no layers, a JPEG, other formats.
    """
    if refusal := next((why for end, why in REFUSED.items() if path.name.lower().endswith(end)), ""):
        raise InputError(refusal, path, "save the labels as TIFF or PNG")
    refuse_lossy(path)
    opened = open_raster(path)
    if shape is not None and nbytes(opened.source.shape, np.dtype(opened.source.dtype)) > SMALL:
        sides = [int(n) for n in opened.source.shape]
        if any(sides.count(n) < shape.count(n) for n in shape):
            raise InputError(f"the labels have {sides} voxels and the image has {list(shape)}", path,
                             "save labels as large as the image")  # fmt: skip
    raster = _labels_of(opened)
    if raster.images > 1:  # all but the first would be lost in silence
        raise InputError(
            f"the labels are {raster.images} images of different shapes", path, "give all planes one shape"
        )
    letters, notes = named(raster, None if axes is None else checked(axes, "LQ"), "LQ", channels)
    kind = "Q" if "Q" in (axes or letters).upper() else "L"
    source = arrange(path, raster.source, letters, kind + "".join(c for c in "TZYX" if c in letters))
    for note in notes:
        _log.info("%s: %s", path, note)
    return np.asarray(source[(slice(None),) * len(source.shape)]), kind, raster


def _labels_of(raster: Raster) -> Raster:
    """Without opacity and with one of equal colours, for some programs write labels so; refuses images."""
    if raster.kind == "image":
        path = raster.path
        inside = sorted(p.name for p in (path / "labels").glob("*") if p.is_dir()) if (path / "labels").is_dir() else []
        do = (
            f"name {path.name}/labels/{inside[0]}"
            if inside
            else "name a label image, or one array of it: " + str(path / "0")
        )
        raise InputError("this OME-Zarr is an image and does not say that it holds labels", path, do)
    at = raster.axes.find("S")
    if at < 0:
        return raster
    colours = [c for c in range(raster.source.shape[at]) if c not in raster.opacity]
    voxels = np.moveaxis(np.asarray(raster.source[(slice(None),) * len(raster.axes)]), at, 0)[colours]
    if len(voxels) > 1 and not all(np.array_equal(voxels[0], other) for other in voxels[1:]):
        if at == len(raster.axes) - 1:  # planes of samples may be layers that a program called so
            raise no_colours(raster.path)
        return raster
    return replace(raster, source=voxels[0], axes=raster.axes.replace("S", ""))


def _stack(
    path: Path, axes: str | None, shape: Sequence[int] | None = None, channels: bool | None = None
) -> tuple[NDArray[Any], str, Raster]:
    """Layers or planes `(N, *shape)` of integers, and which of the two: "L" or "Q"."""
    stack, kind, raster = stored(path, axes, shape, channels)
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
