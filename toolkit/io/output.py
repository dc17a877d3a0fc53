"""Write the outputs of one image."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from toolkit.errors import StorageError, UsageError
from toolkit.files import whole
from toolkit.files.failpoint import failpoint
from toolkit.io.paths import is_zarr
from toolkit.io.shards import Make, one_by_one
from toolkit.values.frames import frame
from toolkit.values.image import Image
from toolkit.values.scattered import Objects
from toolkit.values.scattered import whole as gathered
from toolkit.values.thought import Marks


def write(
    folder: str | Path,
    stem: str,
    instances: Objects,
    image: Image,
    table: Mapping[str, NDArray[Any]] | None = None,
    preview: Image | None = None,
    points: Mapping[str, NDArray[Any]] | None = None,
    parquet: bool = False,
    fields: Mapping[str, NDArray[Any]] | None = None,
    marks: Mapping[str, Marks] | None = None,
    version: str = "0.5",
    make: Make = one_by_one,
) -> tuple[Path, ...]:
    """Write the objects of `image` into `folder` (made if missing) and give the paths. If `instances` has an axis more,
    it is that of time, and `image` is the first frame.

    `STEM.labels.tif`: labels `(Z)YX`, or layers `L(Z)YX` where objects overlap; `STEM.zarr`: OME-Zarr of `version`, the
    labels over the image, the lossless objects and, if given, what the method thought, `fields` and `marks`;
    `STEM.objects.csv`: `table`, if given, and `STEM.objects.parquet`, if wanted; `STEM.points.csv`: `points`, if given;
    `STEM.overlay.png`: outlines on `preview`, if given. `make` has the files of label layers made. Each output
    appears whole or not at all and replaces what was there. Raises `StorageError` if the disk is full or the folder may
    not be written, `UsageError` if a link, or a Zarr that is none of ours, has the name of an output.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{stem[:80]}.") as scratch:
            made = _write_all(
                Path(scratch), stem, instances, image, {"objects": table, "points": points}, preview, parquet,
                {"fields": fields, "marks": marks, "version": version, "make": make},
            )  # fmt: skip
            for path in made:
                _replaceable(folder / path.name)
            return tuple(_publish(path, folder) for path in made)
    except OSError as error:
        raise StorageError(
            f"cannot write the results of {image.name}", f"{folder} ({error.strerror or error})", "free space or rights"
        ) from error


def _write_all(
    folder: Path,
    stem: str,
    instances: Objects,
    image: Image,
    tables: Mapping[str, Mapping[str, NDArray[Any]] | None],
    preview: Image | None,
    parquet: bool,
    more: Mapping[str, Any],
) -> list[Path]:
    from toolkit.io.tifflabels import write_tiff
    from toolkit.io.zarrlabels import write_zarr

    size = image.voxel_size if image.calibrated else None
    made = [folder / f"{stem}.labels.tif", folder / f"{stem}.zarr"]
    series = len(instances.shape) > image.ndim
    axes = "T" * series + image.axes[1:]
    write_tiff(made[0], instances, size, axes, more["make"])
    failpoint("output.made")
    write_zarr(made[1], instances, size, axes, image=image, table=tables["objects"], **more)
    failpoint("output.made")
    for name, table in tables.items():
        if table is not None:
            from toolkit.io.table import write_csv

            made.append(folder / f"{stem}.{name}.csv")
            write_csv(made[-1], table)
    objects = tables["objects"]
    if parquet and objects is not None:
        from toolkit.io.table import write_parquet

        made.append(folder / f"{stem}.objects.parquet")
        write_parquet(made[-1], objects)
    if preview is not None:
        from toolkit.io.overlay import write_overlay

        made.append(folder / f"{stem}.overlay.png")
        write_overlay(made[-1], preview, frame(gathered(instances), 0) if series else instances)
    return made


def _replaceable(target: Path) -> None:
    """Refuse to write over a folder that holds no objects of ours, or over a link."""
    if target.is_symlink() or not target.is_dir():
        whole.replaceable(target)
    elif not is_zarr(target / "instances") or not (target / "labels" / "layer-0").is_dir():
        raise UsageError("this holds no objects of ours, so it is not written over", target, "choose another folder")


def _publish(path: Path, folder: Path) -> Path:
    """Move a finished output into `folder`, over an older one."""
    target = folder / path.name
    if target.is_dir():
        # A folder cannot be replaced in one step: the old one steps aside into the scratch folder and goes with it.
        target.replace(path.with_name(f"old {path.name}"))
    failpoint("output.named")
    return path.replace(target)
