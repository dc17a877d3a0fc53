"""A copy of a data set in which only some objects are annotated."""

from __future__ import annotations

import json
import os.path
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.check.sparse import Sparse
from toolkit.errors import InputError, UsageError
from toolkit.files import whole
from toolkit.io.dataset import ALL, Dataset, Item, open_dataset, parted
from toolkit.io.meta import WEIGHTS
from toolkit.values.truth import UNANNOTATED, Truth

RECORD = "sparse.json"
LEARNT = "train"
"""The split of a data set that is made sparse where none is named: the others judge what is learnt from it."""


def sparsify(where: str, how: Sparse, folder: Path) -> dict[str, Any]:
    """Write the data set `DIR`, or its one split `DIR:SPLIT`, into the new `folder`; returns what stayed annotated.

    In the split `train` of DIR, or in all images where there is none, or in those of the split that is named, the
    objects that `how` chooses stay, whole, and all other voxels become −1. Images and all other masks are copied; masks
    are stored as label images, with layers where objects overlap. Raises `UsageError` if the folder exists or lies
    inside the data set, `InputError` if an image has no mask.
    """
    root, split = parted(where)
    if os.path.lexists(folder):
        raise UsageError("the output exists", folder, "choose another -o")
    if folder.resolve().is_relative_to(root.resolve()):
        raise UsageError("the sparse copy may not lie inside the data set", folder, "choose another -o")
    data = open_dataset(where)
    if bare := [item.name for item in data.items if item.mask is None]:
        raise InputError("an image has no mask", f"{bare[0]} in {root}", "add it, or name a split: DIR:SPLIT")
    chosen = split or (LEARNT if LEARNT in data.splits else ALL)
    sparse = {item.name for item in open_dataset(f"{root}:{chosen}").items}
    layered, ndim = False, 0
    objects: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for item in data.items:  # read twice: all annotations of a data set may be more than memory holds
        truth = data.truth(item)
        layered, ndim = layered or len(truth.layers) > 1, truth.ndim
        if item.name in sparse:
            objects.append(_objects(truth))
    kept = dict(zip((i.name for i in data.items if i.name in sparse), how.choose(objects), strict=True))
    letters = "L" * layered + "ZYX"[-ndim:]
    with whole.folder(folder) as draft:
        for name in ("images", "masks"):
            (draft / name).mkdir()
        for item in data.items:
            _copy(item.image, draft / "images")
            layers = data.truth(item).layers
            if item.name in kept:
                layers = np.where(np.isin(layers, kept[item.name]), layers, UNANNOTATED)
            _write(draft / "masks" / f"{item.name}.tif", layers if layered else layers[0])
            if item.void is not None:
                (draft / "void").mkdir(exist_ok=True)
                _copy(item.void, draft / "void")
        _describe(data, draft, letters, split)
        done = {
            "split": chosen,
            "images": len(kept),
            "objects": sum(len(ids) for ids, _ in objects),
            "annotated": sum(map(len, kept.values())),
            "voxels": int(sum(_voxels(o, k) for o, k in zip(objects, kept.values(), strict=True))),
        }
        record = {"from": str(root), "fraction": how.fraction, "order": how.order, "seed": how.seed, **done}
        (draft / RECORD).write_text(json.dumps(record, indent=1), encoding="utf8")
    return done


def _objects(truth: Truth) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ids, sizes = np.unique(truth.layers[truth.layers > 0], return_counts=True)
    return ids.astype(np.int64), sizes.astype(np.int64)


def _voxels(objects: tuple[NDArray[np.int64], NDArray[np.int64]], kept: NDArray[np.int64]) -> int:
    return int(objects[1][np.isin(objects[0], kept)].sum())


def _write(path: Path, labels: NDArray[np.int32]) -> None:
    import tifffile

    tifffile.imwrite(path, labels, compression="zlib", photometric="minisblack")


def _copy(path: Path, folder: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, folder / path.name)
    else:
        shutil.copyfile(path, folder / path.name)


def _describe(data: Dataset, draft: Path, masks: str, split: str | None) -> None:
    """`meta.json` with the axes of the new masks, `splits.json` of the images that are there, and `weights.csv`."""
    about = data.root / "meta.json"
    plain = json.loads(about.read_text(encoding="utf8")) if about.is_file() else {}
    (draft / "meta.json").write_text(json.dumps({**plain, "masks": masks}, indent=1), encoding="utf8")
    if (data.root / WEIGHTS).is_file() and split is None:
        shutil.copyfile(data.root / WEIGHTS, draft / WEIGHTS)
    members = {s: _names(open_dataset(f"{data.root}:{s}").items) for s in data.splits if s != ALL}
    if split not in (None, ALL):
        members = {str(split): _names(data.items)}
    if members:
        (draft / "splits.json").write_text(json.dumps(members, indent=1), encoding="utf8")


def _names(items: tuple[Item, ...]) -> list[str]:
    return [item.name for item in items]
