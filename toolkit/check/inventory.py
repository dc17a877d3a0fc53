"""Which files belong together, and which are left over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.check.finding import Finding, Place, count, finding
from toolkit.errors import InputError, UsageError, nearest
from toolkit.io.dataset import ALL, parted
from toolkit.io.meta import Meta, read_meta, read_splits, read_weights
from toolkit.io.paths import is_image, stem
from toolkit.io.shapeless import is_shapeless, shapeless_stem


@dataclass(frozen=True)
class Entry:
    """One image by name, with what was found of it, and what `meta.json` says of all."""

    name: str
    splits: tuple[str, ...]
    image: Path | None
    mask: Path | None
    void: Path | None
    meta: Meta

    @property
    def split(self) -> str:
        """The split it belongs to; the last of several, because that is the one to keep it out of training."""
        return self.splits[-1] if self.splits else ALL


@dataclass(frozen=True)
class Inventory:
    """A data set as it lies on the disk. `labelled`: there is a folder of masks."""

    root: Path
    entries: tuple[Entry, ...]
    splits: tuple[str, ...]
    meta: Meta
    labelled: bool
    findings: tuple[Finding, ...]


def inventory(where: str) -> Inventory:
    """The files of the data set `DIR` or of one split, `DIR:SPLIT`.

    Raises `InputError` if there is no such folder or no image in it, `UsageError` for an unknown split.
    """
    root, chosen = parted(where)
    if not root.is_dir():
        raise InputError("no such data set folder", root, "check the path")
    found: list[Finding] = []
    meta, splits = Meta(), dict[str, list[str]]()
    try:
        meta = read_meta(root)
        splits = read_splits(root)
    except InputError as error:
        found.append(Finding("description", "error", f"{error.what}: {error.where}", error.do))
    if chosen not in (None, ALL, *splits):
        raise UsageError(f"this data set has no split {chosen!r}", root, nearest(str(chosen), splits or (ALL,)))
    folder = root / "images" if (root / "images").is_dir() else root
    images, masks, voids = (_files(path, found) for path in (folder, root / "masks", root / "void"))
    if not images and not masks:
        raise InputError("this folder holds no image", folder, "TIFF, PNG, JPEG, BMP and OME-Zarr are read")
    try:
        read_weights(root, images)
    except InputError as error:
        found.append(Finding("description", "error", f"{error.what}: {error.where}", error.do))
    names = dict.fromkeys([*(n for s in splits.values() for n in s), *sorted({*images, *masks, *voids})])
    of = {name: tuple(s for s, members in splits.items() if name in members) for name in names}
    if chosen not in (None, ALL):
        of = {name: (str(chosen),) for name, member in of.items() if chosen in member}
    entries = tuple(Entry(n, s, images.get(n), masks.get(n), voids.get(n), meta) for n, s in of.items())
    labelled = (root / "masks").is_dir()
    found += _unpaired(entries, labelled, splits)
    return Inventory(root, entries, tuple(splits) or (ALL,), meta, labelled, tuple(found))


def _files(folder: Path, found: list[Finding]) -> dict[str, Path]:
    """Images, and among masks also tables of points and outlines, directly inside `folder` by stem."""
    files: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        shapeless = folder.name == "masks" and is_shapeless(path)
        if not shapeless and not is_image(path):
            continue
        name = shapeless_stem(path) if shapeless else stem(path)
        if name in files:
            twice.append(Place(name, f"{files[name].name} and {path.name} in {folder.name}"))
        files.setdefault(name, path)
    found += finding("same-name", "error", f"{count(len(twice), 'name')} for two files", "rename one of them", twice)
    return files


def _unpaired(entries: tuple[Entry, ...], labelled: bool, splits: Mapping[str, list[str]]) -> list[Finding]:
    gone = [Place(e.name, "in splits.json") for e in entries if e.image is None and e.mask is None and e.void is None]
    lonely = [Place(e.name) for e in entries if e.image is None and (e.mask or e.void)]
    bare = [Place(e.name) for e in entries if e.image is not None and e.mask is None] if labelled else []
    loose = [Place(e.name) for e in entries if splits and not e.splits]
    twice = [Place(e.name, " and ".join(e.splits)) for e in entries if len(e.splits) > 1]
    return [
        *finding("missing", "error", f"{count(len(gone), 'name')} without a file", "remove it from the split", gone),
        *finding("unpaired", "error", f"{count(len(lonely), 'mask')} without an image", "add it or use --fix", lonely),
        *finding("unpaired", "error", f"{count(len(bare), 'image')} without a mask", "add it or use --fix", bare),
        *finding("no-split", "warning", f"{count(len(loose), 'image')} in no split", "add them to splits.json", loose),
        *finding(
            "two-splits",
            "warning",
            f"{count(len(twice), 'image')} in two splits: what is measured there has been learnt",
            "keep each in one split; --fix takes it out of train",
            twice,
        ),
    ]
