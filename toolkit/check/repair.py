"""A repaired copy of a data set: what can be mended without a human eye, and nothing else."""

from __future__ import annotations

import csv
import json
import os.path
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.check.facts import Facts
from toolkit.check.finding import count
from toolkit.check.labels import SUBSTANTIAL, semantic
from toolkit.errors import InputError, UsageError
from toolkit.files import whole
from toolkit.io.meta import WEIGHTS, read_weights

if TYPE_CHECKING:
    from toolkit.check import Diagnosis

RECORD = "repairs.json"
ORDER = ("test", "val", "train")
"""Of an image that is in several splits, the first of these keeps it."""


def target(folder: Path, root: Path) -> None:
    """Refuse a folder that exists or lies inside the data set; raises `UsageError`."""
    if os.path.lexists(folder):
        raise UsageError("the output exists", folder, "choose another --fix FOLDER")
    if folder.resolve().is_relative_to(root.resolve()):
        raise UsageError("the repaired copy may not lie inside the data set", folder, "choose another --fix FOLDER")


def repair(found: Diagnosis, folder: Path, split_pieces: bool = False) -> dict[str, Any]:
    """Write the repaired data set into the new `folder`; returns what was changed.

    Left out: images without mask, masks without image, what cannot be read, pairs of different shape. Images of mixed
    types are stored in the widest, their values unchanged; masks stored as fractions as integers. An image in several
    splits, or an exact copy of one in another split, stays in test before val before train. With `split_pieces`, each
    piece of some size becomes an object; see `apart`. Raises `InputError` if nothing would be left.
    """
    stock, changes = found.inventory, list[dict[str, Any]]()
    kept = [f for f in found.facts if _usable(f, stock.labelled)]
    if not kept:
        raise InputError("nothing can be repaired here", stock.root, "no image with a mask is left")
    gone = [f.entry.name for f in found.facts if f not in kept]
    changes += _change("left out, because a part is missing or cannot be used", gone)
    splits = {f.entry.name: _one(f.entry.splits) for f in kept}
    changes += _change("now in one split only", (f.entry.name for f in kept if len(f.entry.splits) > 1))
    leaked = _leaks(found, {f.entry.name for f in kept}, splits)
    changes += _change("taken out, because another split holds the same voxels", leaked)
    kept = [f for f in kept if f.entry.name not in leaked]
    widest = _widest(kept)
    with whole.folder(folder) as draft:
        for name in ("images", *(("masks",) if stock.labelled else ())):
            (draft / name).mkdir()
        changes += _change(f"stored as {widest}", _write_images(kept, draft / "images", widest))
        if stock.labelled:
            changes += _change(
                "labels stored as integers or split into pieces", _write_masks(kept, draft, split_pieces)
            )
        _describe(found, draft, splits, kept)
        done = {"images": len(kept), "changes": [f"{count(len(c['images']), 'image')} {c['what']}" for c in changes]}
        done["changes"] = done["changes"] or ["nothing to change"]
        (draft / RECORD).write_text(
            json.dumps({"from": str(stock.root), "changes": changes}, indent=1), encoding="utf8"
        )
    return done


def _change(what: str, images: Iterable[str]) -> list[dict[str, Any]]:
    names = sorted(images)
    return [{"what": what, "images": names}] if names else []


def _usable(facts: Facts, labelled: bool) -> bool:
    image, mask = facts.image, facts.mask
    if facts.bad or image is None or (labelled and mask is None) or all(np.isnan(image.middle)):
        return False
    return mask is None or mask.shape == image.shape


def _one(splits: tuple[str, ...]) -> str | None:
    """The split that keeps an image."""
    return min(splits, key=lambda s: (ORDER.index(s) if s in ORDER else len(ORDER), s)) if splits else None


def _leaks(found: Diagnosis, kept: set[str], splits: dict[str, str | None]) -> set[str]:
    """Exact copies of images of another split that has more right to them."""
    same: dict[str, list[str]] = {}
    for facts in found.facts:
        if facts.image is not None and facts.entry.name in kept and not facts.image.constant:
            same.setdefault(facts.image.digest, []).append(facts.entry.name)
    leaked: set[str] = set()
    for names in same.values():
        owners = {splits[name] for name in names}
        keeper = _one(tuple(s for s in owners if s is not None))
        leaked |= {name for name in names if splits[name] not in (keeper, None)}
    return leaked


def _widest(kept: list[Facts]) -> np.dtype[Any] | None:
    """The type that holds the values of all images, if they are of several types."""
    types = {np.dtype(f.image.dtype) for f in kept if f.image is not None}
    return np.result_type(*types) if len(types) > 1 else None


def _write_images(kept: list[Facts], folder: Path, widest: np.dtype[Any] | None) -> list[str]:
    changed = []
    for facts in kept:
        path, image = facts.entry.image, facts.image
        assert path, "only whole entries are kept"
        assert image, "only whole entries are kept"
        if widest is None or image.dtype == widest:
            _copy(path, folder)
            continue
        _write(folder / f"{facts.entry.name}.tif", _raw(path).astype(widest))
        changed.append(facts.entry.name)
    return changed


def _write_masks(kept: list[Facts], draft: Path, split_pieces: bool) -> list[str]:
    changed = []
    for facts in kept:
        path, mask = facts.entry.mask, facts.mask
        assert path, "only whole entries are kept"
        assert mask, "only whole entries are kept"
        if facts.entry.void is not None:
            (draft / "void").mkdir(exist_ok=True)
            _copy(facts.entry.void, draft / "void")
        split = split_pieces and bool(mask.pieces) and mask.kind == "L" and path.is_file()
        if not split and not mask.dtype.startswith("float"):
            _copy(path, draft / "masks")
            continue
        labels = _raw(path)
        labels = np.rint(labels).astype(np.int64) if labels.dtype.kind == "f" else labels
        labels = apart(labels, mask.shape, 0.0 if semantic(mask) else SUBSTANTIAL) if split else labels
        _write(draft / "masks" / f"{facts.entry.name}.tif", _narrow(labels))
        changed.append(facts.entry.name)
    return changed


def apart(labels: NDArray[Any], shape: tuple[int, ...], least: float = SUBSTANTIAL) -> NDArray[Any]:
    """Label images of `shape` (or several) where each piece of at least the share `least` of the largest one has an id
    of its own: the largest keeps the old one, the others get new ones in raster order. Stray voxels keep theirs too."""
    import cc3d

    out = np.array(labels, np.int64, order="C")
    fresh = int(out.max(initial=0)) + 1
    for layer in out.reshape(-1, *shape):
        parts = cc3d.connected_components(np.maximum(layer, 0), connectivity=4 if layer.ndim == 2 else 6)
        number, first, size = np.unique(parts.astype(np.int64), return_index=True, return_counts=True)
        some = number > 0
        number, first, size = number[some], first[some], size[some]
        name = layer.reshape(-1)[first]
        order = np.lexsort((first, -size, name))
        keeps = order[np.diff(name[order], prepend=0) != 0]
        largest = dict(zip(name[keeps].tolist(), size[keeps].tolist(), strict=True))
        enough = size >= least * np.array([largest[n] for n in name.tolist()])
        others = np.setdiff1d(np.flatnonzero(enough), keeps)
        others = others[np.argsort(first[others])]
        new = np.zeros(int(parts.max(initial=0)) + 1, np.int64)
        new[number] = name
        new[number[others]] = np.arange(fresh, fresh + len(others))
        fresh += len(others)
        layer[layer > 0] = new[parts[layer > 0]]
    return out


def _narrow(labels: NDArray[Any]) -> NDArray[Any]:
    """In the smallest type of 16 or 32 bits that holds the labels, signed only where that is needed."""
    if int(labels.min(initial=0)) < 0:
        return labels.astype(np.int32)
    return labels.astype(np.uint16 if int(labels.max(initial=0)) < 2**16 else np.uint32)


def _raw(path: Path) -> NDArray[Any]:
    """The array as the file holds it, so that its axes stay what they are."""
    from toolkit.io.image import open_raster

    source = open_raster(path).source
    return np.asarray(source[(slice(None),) * len(source.shape)])


def _write(path: Path, array: NDArray[Any]) -> None:
    import tifffile

    # The shape alone would let a reader take three planes for colours.
    colours = array.ndim == 3 and array.shape[-1] == 3
    tifffile.imwrite(path, array, compression="zlib", photometric="rgb" if colours else "minisblack")


def _copy(path: Path, folder: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, folder / path.name)
    else:
        shutil.copyfile(path, folder / path.name)


def _describe(found: Diagnosis, draft: Path, splits: dict[str, str | None], kept: list[Facts]) -> None:
    """`meta.json` as it was, `splits.json` and `weights.csv` of what is left."""
    root = found.inventory.root
    if (root / "meta.json").is_file():
        shutil.copyfile(root / "meta.json", draft / "meta.json")
    if (root / "splits.json").is_file():
        members = {s: [f.entry.name for f in kept if splits[f.entry.name] == s] for s in found.inventory.splits}
        (draft / "splits.json").write_text(json.dumps(members, indent=1), encoding="utf8")
    if weights := read_weights(root):
        with (draft / WEIGHTS).open("w", newline="", encoding="utf8") as stream:
            rows = [(f.entry.name, weights[f.entry.name]) for f in kept if f.entry.name in weights]
            csv.writer(stream).writerows([("name", "weight"), *rows])
