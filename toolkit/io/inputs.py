"""Find the images that a command line names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io.dataset import images_in, open_dataset, parted
from toolkit.io.folder import HIDDEN, RESULT, Skipped, below
from toolkit.io.meta import read_meta
from toolkit.io.paths import OUTPUTS, is_image, is_zarr, local, stem
from toolkit.io.plate import fields
from toolkit.values.rescaling import Rescaling


@dataclass(frozen=True)
class Found:
    """An image to read.

    `stem` names its outputs, which go to `folder` below the output folder: `.` unless stems are equal. `axes` and
    `voxel_size` (µm) are those of the data set that the image belongs to, if any. `preview`: whether a picture of it is
    wanted. `rescaling`: at what size it is seen, if that was found before.
    """

    path: Path
    stem: str
    folder: Path = Path()
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    preview: bool = True
    rescaling: Rescaling | None = None

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Search:
    """What a command line names: images, and the files in its folders that are not read."""

    images: tuple[Found, ...]
    skipped: tuple[Skipped, ...] = ()


def find_inputs(inputs: Sequence[str | Path]) -> list[Found]:
    """The images of `search`."""
    return list(search(inputs).images)


def search(inputs: Sequence[str | Path]) -> Search:
    """The images of files, folders (searched to the bottom), globs, OME-Zarr folders, plates and `DATASET:SPLIT`,
    sorted.

    Each name is taken once, though two names may lead to one file; the outputs of earlier runs are not taken for
    images. A file whose name is no UTF-8 text is not read: no record could name it. Raises `InputError` if something
    named is missing, holds no image or is such an output.
    """
    found: dict[str, Found] = {}
    skipped: dict[str, Skipped] = {}
    for text in map(str, inputs):
        for one in _of(text):
            if isinstance(one, Found) and not _readable(one.path):
                one = Skipped(one.path, "its name is no UTF-8 text: rename it")
            (found if isinstance(one, Found) else skipped).setdefault(os.path.abspath(one.path), one)  # type: ignore[arg-type]  # noqa: PTH100
    if not found:
        what = "no image can be read" if skipped else "no image was given"
        raise InputError(what, named(tuple(skipped.values())), "name a file, a folder or DATASET:SPLIT")
    return Search(tuple(_apart(sorted(found.values(), key=lambda f: (f.stem, str(f.path))))), tuple(skipped.values()))


def is_split(text: str) -> bool:
    """Whether this names a split of a data set."""
    root, split = parted(text)
    return split is not None and root.is_dir()


def _readable(path: Path) -> bool:
    """Whether the name can be written down: in records, in other names, on a terminal."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _of(text: str) -> Iterator[Found | Skipped]:
    path = local(text)
    if is_split(text):
        yield from (_described(item.image, parted(text)[0]) for item in open_dataset(text).items)
    elif path.is_dir() and not is_image(path):
        if path.name.endswith(".seg") or ((path / "run.json").is_file() and any(path.rglob("*.labels.tif"))):
            raise InputError("this is a result of seg, no image", path, "name the images that it was made from")
        if (path / "images").is_dir():
            images = list(images_in(path / "images").values())
            yield from (_described(image, path) for image in images)
            yield from (s for s in below(path / "images") if isinstance(s, Skipped))
            others = (*path.iterdir(), *(p for p in below(path / "images") if isinstance(p, Path) and p not in images))
            yield from (Skipped(p, "not directly in images/") for p in others if is_image(p))
            return
        yield from _in(path)
    elif path.exists():
        yield from _named(path)
    elif glob.has_magic(text):
        names = sorted(map(Path, glob.glob(text, recursive=True)))  # noqa: PTH207
        images = [n for n in names if is_image(n)]
        if not images:
            raise InputError("no image matches this pattern", text, "quote it, and check the path")
        yield from (one for name in images for one in _named(name))
        around = {parent for name in names for parent in name.parents}
        yield from (
            Skipped(name, HIDDEN if name.name.startswith(".") else Skipped.why)
            for name in names
            if name not in images and name not in around
        )
    else:
        raise InputError("no such file or folder", path, "check the path")


def _in(folder: Path) -> Iterator[Found | Skipped]:
    some = False
    for one in below(folder):
        if isinstance(one, Skipped):
            yield one
        else:
            some = True
            try:
                yield from tuple(_named(one))
            except InputError:  # a broken plate says so in its turn, and the others are done
                yield Found(one, _stem(one))
    if not some:
        skipped = [s for s in below(folder) if isinstance(s, Skipped)]
        has = f", but {named(skipped)}" if skipped else ""
        raise InputError("this folder holds no image", f"{folder}{has}", "TIFF, PNG, JPEG, BMP and OME-Zarr are read")


def named(skipped: Sequence[Skipped]) -> str:
    """The first names of what was passed over, those with a remedy first and results last; how many are hidden."""
    last = {Skipped.why: 1, RESULT: 2}
    seen = sorted((s for s in skipped if s.why != HIDDEN), key=lambda s: (last.get(s.why, 0), s.path.name))
    names = [s.path.name + os.sep * s.path.is_dir() + f" ({s.why})" * (s.why != Skipped.why) for s in seen[:3]]
    hidden = [f"{len(skipped) - len(seen)} hidden"] * (len(skipped) > len(seen))
    return ", ".join(names) + " …" * (len(seen) > 3) + ", " * bool(names and hidden) + "".join(hidden)


def _described(path: Path, root: Path) -> Found:
    meta = read_meta(root)
    return Found(path, stem(path), Path(), meta.axes, meta.voxel_size)


def _named(path: Path) -> Iterator[Found]:
    """An image by its path, or the fields of a plate. If it lies in the `images` folder of a data set, that says more
    about it. `InputError` for a result."""
    if path.name.lower().endswith(OUTPUTS) or is_zarr(path / "instances"):
        raise InputError("this is a result of seg, no image", path, "name the image that it was made from")
    if is_zarr(path) and (images := fields(path)) is not None:
        yield from (Found(image, f"{stem(_whole(path))}_{name}") for image, name in images)
        return
    folder = path.absolute().parent
    inside = folder.name == "images" and (folder.parent / "meta.json").is_file()
    yield _described(path, folder.parent) if inside else Found(path, _stem(path))


def _stem(path: Path) -> str:
    """A part of an OME-Zarr is called after all of it, so that `a.zarr/0` is no image `0`."""
    whole = _whole(path)
    return stem(path) if whole is path else "_".join((stem(whole), *path.absolute().relative_to(whole).parts))


def _whole(path: Path) -> Path:
    """The Zarr that a part of one lies in, else the path."""
    return next((p for p in path.absolute().parents if p.name.lower().endswith(".zarr")), path)


def _apart(found: list[Found]) -> list[Found]:
    """Give images of one stem folders of their own; in one folder, keep the ending in the stem."""
    result = []
    for name in dict.fromkeys(f.stem for f in found):
        same = [f for f in found if f.stem == name]
        if len(same) == 1:
            result += same
            continue
        parents = [f.path.absolute().parent for f in same]
        common = Path(os.path.commonpath(parents))
        for one, parent in zip(same, parents, strict=True):
            twin = parents.count(parent) > 1
            result.append(replace(one, stem=one.path.name if twin else name, folder=parent.relative_to(common)))
    return result
