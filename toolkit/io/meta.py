"""What a data set says about itself: `meta.json` and `splits.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.raster import LEAST_UM, MOST_UM


@dataclass(frozen=True)
class Meta:
    """`meta.json`: axes of the images and of the masks, voxel size in µm per spatial axis, names of the channels."""

    axes: str | None = None
    masks: str | None = None
    voxel_size: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()


def read_meta(root: Path) -> Meta:
    """The `meta.json` of a data set; all unknown without one. Raises `InputError` where it is damaged."""
    path = root / "meta.json"
    about = _mapping(path)
    for key in ("axes", "masks"):
        if not isinstance(about.get(key), str | None):
            raise InputError(f"{key} is not a string", path, "name axes, such as YX, CYX or QYX")
    size, channels = about.get("voxel_size_um"), about.get("channels")
    if size is not None and not (isinstance(size, list) and all(map(_length, size))):
        raise InputError("voxel_size_um is not a list of positive numbers", path, "give micrometres per axis")
    if not isinstance(channels, list | None):
        raise InputError("channels is not a list", path, "give their names")
    return Meta(
        about.get("axes"),
        about.get("masks"),
        tuple(map(float, size)) if size else None,
        tuple(map(str, channels or ())),
    )


def read_splits(root: Path) -> dict[str, list[str]]:
    """The `splits.json` of a data set: names of the images per split; empty without one."""
    splits = _mapping(root / "splits.json")
    if not all(isinstance(v, list) and all(isinstance(n, str) for n in v) for v in splits.values()):
        raise InputError("a split is not a list of names", root / "splits.json", 'write {"train": ["a"], …}')
    return splits


def _length(value: object) -> bool:
    """Whether this may be the size of a voxel in micrometres."""
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST_UM <= value <= MOST_UM


def _mapping(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError("this file is not valid JSON", path, " ".join(str(error).split())[:120]) from error
    if not isinstance(data, dict):
        raise InputError("this file does not hold a mapping", path, "write {…}")
    return data
