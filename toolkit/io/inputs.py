"""Find the images that a command line names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io.dataset import images_in, open_dataset, parted
from toolkit.io.meta import read_meta
from toolkit.io.paths import OUTPUTS, is_image, stem


@dataclass(frozen=True)
class Found:
    """An image to read.

    `stem` names its outputs, which go to `folder` below the output folder: `.` unless stems are equal. `axes` and
    `voxel_size` (µm) are those of the data set that the image belongs to, if any.
    """

    path: Path
    stem: str
    folder: Path = Path()
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None


def find_inputs(inputs: Sequence[str | Path]) -> list[Found]:
    """The images of files, folders (searched to the bottom), globs, OME-Zarr folders and `DATASET:SPLIT`, sorted.

    Each image occurs once; the outputs of earlier runs are not taken for images. Raises `InputError` if something named
    is missing or holds no image.
    """
    found: dict[Path, Found] = {}
    for text in map(str, inputs):
        for image in _of(text):
            if not _readable(image.path):
                raise InputError("the name of a file is no UTF-8 text", image.path, "rename it")
            found.setdefault(image.path.resolve(), image)
    if not found:
        raise InputError("no image was given", do="name a file, a folder or DATASET:SPLIT")
    return _apart(sorted(found.values(), key=lambda f: (f.stem, str(f.path))))


def _readable(path: Path) -> bool:
    """Whether the name can be written down: in records, in other names, on a terminal."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _of(text: str) -> Iterator[Found]:
    path = Path(text)
    root, split = parted(text)
    if split is not None and root.is_dir():
        yield from (_described(item.image, root) for item in open_dataset(text).items)
    elif path.is_dir() and not is_image(path):
        if (path / "images").is_dir():
            yield from (_described(image, path) for image in images_in(path / "images").values())
            return
        images = sorted(_below(path))
        if not images:
            raise InputError("this folder holds no image", path, "TIFF, PNG and OME-Zarr are read")
        yield from map(_single, images)
    elif path.exists():
        yield _single(path)
    elif glob.has_magic(text):
        names = sorted(n for n in map(Path, glob.glob(text, recursive=True)) if is_image(n))  # noqa: PTH207
        if not names:
            raise InputError("no image matches this pattern", text, "quote it, and check the path")
        yield from map(_single, names)
    else:
        raise InputError("no such file or folder", path, "check the path")


def _described(path: Path, root: Path) -> Found:
    meta = read_meta(root)
    return Found(path, stem(path), Path(), meta.axes, meta.voxel_size)


def _single(path: Path) -> Found:
    """An image by its path; if it lies in the `images` folder of a data set, that says more about it."""
    folder = path.absolute().parent
    inside = folder.name == "images" and (folder.parent / "meta.json").is_file()
    return _described(path, folder.parent) if inside else Found(path, stem(path))


def _below(folder: Path) -> Iterator[Path]:
    """Images in a folder and all folders in it, without the outputs of runs."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        zarrs = [f for f in folders if is_image(here / f)]
        folders[:] = [
            f for f in folders if f not in zarrs and not f.startswith(".") and not f.endswith((".seg", ".work"))
        ]
        yield from (here / f for f in zarrs if not (here / f / "instances").is_dir())
        yield from (here / f for f in files if is_image(here / f) and not f.lower().endswith(OUTPUTS))


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
