"""What a data set says about itself: `meta.json`, `splits.json` and `weights.csv`."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, UsageError, nearest
from toolkit.files import bounded
from toolkit.io.axes import checked
from toolkit.io.units import LEAST, MOST

WEIGHTS = "weights.csv"


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
    for key, stack in (("axes", "C"), ("masks", "LQ")):
        if not isinstance(about.get(key), str | None):
            raise InputError(f"{key} is not a string", path, "name axes, such as YX, CYX or QYX")
        if key in about and about[key] is not None:
            try:
                checked(about[key], stack)
            except UsageError as error:
                raise InputError(error.what, f"{path}, {key}: {error.where}", error.do) from error
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
    # A Mac may have written the names of files with accents as characters of their own.
    return {split: [unicodedata.normalize("NFC", name) for name in names] for split, names in splits.items()}


def read_weights(root: Path, names: Iterable[str] | None = None) -> dict[str, float]:
    """How much more often than others a training shows an image: `weights.csv`, columns `name` and `weight`.

    Images that it does not name have the weight 1; 0 leaves an image out. Empty without the file. Raises `InputError`
    for a file without these columns, for names that are not in `names`, those of all images, for names given twice and
    for what is no number.
    """
    path, found = root / WEIGHTS, dict[str, float]()
    if not os.path.lexists(path):
        return found
    try:
        table = csv.DictReader(io.StringIO(bounded.read(path).decode("utf-8-sig"), newline=""))
        rows = list(table)
    except (ValueError, OSError, csv.Error) as error:
        raise InputError("this table cannot be read", path, " ".join(str(error).split())[:120]) from error
    if not {"name", "weight"} <= {*(table.fieldnames or ())}:
        raise InputError("this table has not the columns name and weight", path, "begin: name,weight")
    known = None if names is None else set(names)
    for line, row in enumerate(rows, 2):
        name, text = row.get("name"), row.get("weight")
        if name is None or text is None:
            raise InputError("a row has no name or no weight", f"{path}, line {line}", "write name,weight")
        if known is not None and name not in known:
            raise InputError(f"there is no image {name!r}", f"{path}, line {line}", nearest(name, known))
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not (isfinite(weight) and weight >= 0):
            raise InputError("a weight is not a number from 0 on", f"{path}, line {line}: {text[:40]!r}", "correct it")
        if name in found:
            raise InputError("an image has two weights", f"{path}, line {line}: {name}", "remove one")
        found[name] = weight
    return found


def _length(value: object) -> bool:
    """Whether this may be the size of a voxel in micrometres."""
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value <= MOST


def _mapping(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    try:
        data = bounded.read_json(path)
    except (ValueError, OSError) as error:
        raise InputError("this file is not valid JSON", path, " ".join(str(error).split())[:120]) from error
    if not isinstance(data, dict):
        raise InputError("this file does not hold a mapping", path, "write {…}")
    return data
