"""Data sets: a folder with `images/`, `masks/`, `splits.json` and `meta.json`, or just images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from toolkit.errors import InputError, UsageError, nearest
from toolkit.io.image import read
from toolkit.io.labels import read_truth
from toolkit.io.meta import read_meta, read_splits, read_weights
from toolkit.io.paths import is_image, stem
from toolkit.io.shapeless import is_shapeless, shapeless_stem
from toolkit.values.image import Image
from toolkit.values.truth import Truth

ALL = "all"
"""The split that holds all images."""


@dataclass(frozen=True)
class Item:
    """An image with its annotation and its void mask, if there are any; `weight`: how often a training shows it."""

    name: str
    image: Path
    mask: Path | None
    void: Path | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Dataset:
    """One split of a data set. `axes`, `mask_axes`, `voxel_size` (µm) and `channels` are those of `meta.json`."""

    root: Path
    split: str
    items: tuple[Item, ...]
    axes: str | None = None
    mask_axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.root.resolve().name

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of `splits.json`; only "all" without that file."""
        return tuple(read_splits(self.root)) or (ALL,)

    def __len__(self) -> int:
        return len(self.items)

    def image(self, item: Item) -> Image:
        """The image of an item, `(C, *shape)`, lazy where it is large."""
        image = read(item.image, self.axes, self.voxel_size)
        told = image.channel_names or len(self.channels) != image.channels
        return image if told else replace(image, channel_names=self.channels)

    def truth(self, item: Item) -> Truth:
        """The annotation of an item; `InputError` if it has none."""
        if item.mask is None:
            raise InputError("this image has no mask", item.image, f"put one into {self.root / 'masks'}")
        if is_shapeless(item.mask):
            image = self.image(item)
            return read_truth(item.mask, None, image.voxel_size, item.void, image.shape)
        return read_truth(item.mask, self.mask_axes, self.voxel_size or (), item.void)


def open_dataset(where: str | Path) -> Dataset:
    """The data set `DIR` with all its images, or one split of it as `DIR:SPLIT`.

    Items are in the order of `splits.json`, else sorted by name. Raises `InputError` if the folder is missing, an image
    or mask has no partner or a JSON file is damaged, and `UsageError` for an unknown split.
    """
    root, split = parted(str(where))
    if not root.is_dir():
        raise InputError("no such data set folder", root, "check the path")
    splits, meta = read_splits(root), read_meta(root)
    if split not in (None, ALL, *splits):
        raise UsageError(f"this data set has no split {split!r}", root, nearest(str(split), splits or (ALL,)))
    everything = list(dict.fromkeys(n for s in splits.values() for n in s)) or None
    items = _items(root, splits.get(split or "", everything))
    return Dataset(root, split or ALL, items, meta.axes, meta.masks, meta.voxel_size, meta.channels)


def parted(where: str) -> tuple[Path, str | None]:
    """`DIR:SPLIT` as folder and split; a folder whose name holds a colon is still a folder."""
    folder, colon, split = where.rpartition(":")
    if not colon or Path(where).exists() or not folder or "/" in split or "\\" in split:
        return Path(where), None
    return Path(folder), split


def images_in(folder: Path) -> dict[str, Path]:
    """The images directly inside `folder` by stem; two of one stem are an `InputError`."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_image(path):
            if stem(path) in found:
                raise InputError("two images have one name", f"{found[stem(path)]} and {path}", "rename one")
            found[stem(path)] = path
    if not found:
        raise InputError("this folder holds no image", folder, "TIFF, PNG, JPEG, BMP and OME-Zarr are read")
    return found


def masks_in(folder: Path) -> dict[str, Path]:
    """The label images, tables of points and outlines directly inside `folder` by stem; two of one stem are an
    `InputError`."""
    others = {shapeless_stem(path): path for path in sorted(folder.iterdir()) if is_shapeless(path)}
    if not others:
        return images_in(folder)
    images = images_in(folder) if any(map(is_image, folder.iterdir())) else {}
    twice = sorted(others.keys() & images.keys())
    if twice:
        raise InputError("two masks have one name", f"{images[twice[0]]} and {others[twice[0]]}", "keep one of them")
    return {**images, **others}


def _items(root: Path, names: Iterable[str] | None) -> tuple[Item, ...]:
    """The images of these names, of all where it is None, with their masks and void masks."""
    folder = root / "images" if (root / "images").is_dir() else root
    images = images_in(folder)
    masks = masks_in(root / "masks") if (root / "masks").is_dir() else None
    voids = images_in(root / "void") if (root / "void").is_dir() else {}
    alone = sorted({*(masks or ()), *voids} - {*images})
    if alone:
        path = {**voids, **(masks or {})}[alone[0]]
        raise InputError("a mask has no image", path, f"add {alone[0]} to {folder}, or remove the mask")
    weights = read_weights(root, images)
    items = []
    for name in sorted(images) if names is None else names:
        if name not in images:
            raise InputError(f"splits.json names {name!r}, which is no image", folder, "add it or remove the name")
        if masks is not None and name not in masks:
            near = next((p.name for p in sorted((root / "masks").iterdir()) if p.name.startswith(name)), "")
            do = f"{near} is not read; " if near else ""
            raise InputError("an image has no mask", images[name], f"{do}add a label image to {root / 'masks'}")
        mask = None if masks is None else masks[name]
        items.append(Item(name, images[name], mask, voids.get(name), weights.get(name, 1.0)))
    return tuple(items)
