"""Which files are wanted for other programs, and writing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from toolkit.errors import StorageError, UsageError, nearest
from toolkit.files import whole
from toolkit.values.image import Image
from toolkit.values.instances import Instances

ENDINGS = {"imagej": ".imagej.tif", "rois": ".rois.zip", "geojson": ".geojson", "anndata": ".h5ad"}
"""What may be asked for, and how its file ends."""


def known(names: Sequence[str]) -> None:
    """Raise `UsageError` for a name that is none, or for what needs a package that is not installed."""
    for name in names:
        if name not in ENDINGS:
            raise UsageError("no such file for other programs", f"--also {name}", nearest(name, ENDINGS))
    if "anndata" in names:
        from toolkit.exchange.h5ad import need_anndata

        need_anndata()


def write(
    names: Sequence[str],
    folder: Path,
    stem: str,
    instances: Instances,
    image: Image,
    table: Mapping[str, NDArray[Any]],
) -> tuple[Path, ...]:
    """Write the files `names` of the objects of `image`, which is the first frame if `instances` have an axis more;
    gives their paths. Each appears whole or not at all. Raises `StorageError` if the disk is full."""
    size = image.voxel_size if image.calibrated else None
    axes = "T" * (len(instances.shape) - image.ndim) + image.axes[1:]
    made = []
    for name in names:
        path = folder / f"{stem}{ENDINGS[name]}"
        try:
            with whole.file(path) as draft:
                _one(name, draft, instances, size, axes, table, stem)
        except OSError as error:
            do = "free space or rights"
            raise StorageError(f"cannot write {name}", f"{path} ({error.strerror or error})", do) from error
        made.append(path)
    return tuple(made)


def _one(
    name: str,
    path: Path,
    instances: Instances,
    size: tuple[float, ...] | None,
    axes: str,
    table: Mapping[str, NDArray[Any]],
    stem: str,
) -> None:
    match name:
        case "imagej":
            from toolkit.exchange.imagej import write_imagej

            write_imagej(path, instances, size, axes)
        case "rois":
            from toolkit.exchange.rois import write_rois

            write_rois(path, instances)
        case "geojson":
            from toolkit.exchange.geojson import write_geojson

            write_geojson(path, instances, table)
        case "anndata":
            from toolkit.exchange.h5ad import write_h5ad

            write_h5ad(path, table, stem)
