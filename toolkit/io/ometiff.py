"""OME-TIFF: the image whose planes a file holds, though they may lie in several files that all describe several."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from toolkit.errors import InputError
from toolkit.files import bounded
from toolkit.io.intact import RATIO
from toolkit.io.omexml import Described, Document, parse
from toolkit.io.paths import COMPANION
from toolkit.io.planes import Place, Planes, whole
from toolkit.io.raster import decoding, interpreting, nbytes, plausible


@dataclass(frozen=True)
class Told:
    """The image that a file belongs to, where each of its planes lies, and of how many images it holds planes."""

    image: Described
    pages: tuple[Place, ...]
    images: int
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(file for file, _ in self.pages))

    def fits(self, page: Any) -> bool:
        """Whether the image's first page has the width and height that is told; `page` is the first of its file.

        An image that begins later is no copy of a larger one at lower resolution, which is read in its stead.
        """
        series, first = page.parent.series, self.pages[0][1]
        if first < len(page.parent.pages) and first > 0:
            larger = [s for s in series if s.axes == series[0].axes and prod(s.shape) > prod(series[0].shape)]
            page = page if larger else page.parent.pages[first].keyframe
        return (int(page.imagelength), int(page.imagewidth)) == (self.image.sizes["Y"], self.image.sizes["X"])

    def first_page(self) -> Any:
        """Description of the first plane's page."""
        file, n = self.pages[0]
        with decoding(file), tifffile.TiffFile(file, mode="r", _multifile=False) as tif:
            return tif.pages[n].keyframe


def told(path: Path, tif: Any) -> Told | str:
    """What the OME-XML of a file says of it, or why it is of no use. Raises `InputError` if files of its set lack."""
    try:
        document = parse(tif.ome_metadata or "")
        if document is None:
            return "its OME-XML cannot be read"
        own = document.uuid
        if document.companion is not None:
            beside = path.with_name(document.companion)
            if not beside.is_file():
                return f"this file is one part of a set that {document.companion} describes, which is not beside it"
            document = parse(bounded.read(beside).decode("utf8", "replace"))
            if document is None:
                return f"{beside.name}, which describes this file, cannot be read"
        elif not any(image.blocks for image in document.images):
            document = document.in_order(len(tif.pages))
        mine = _Mine(path, own, document)
        holds = [image for image in document.images if any(mine.owns(b.file, b.uuid) for b in image.blocks)]
        if not holds:
            return "its OME-XML describes other files"
        return Told(holds[0], mine.places(holds[0]), len(holds), _more(len(holds)))
    except (ValueError, KeyError) as error:
        return f"its OME-XML contradicts itself ({' '.join(str(error).split())[:80]})"


def of_companion(path: Path) -> Told:
    """The first image that a companion file describes."""
    with decoding(path), interpreting(path):
        document = parse(bounded.read(path).decode("utf8"))
        if document is None or not document.images:
            raise InputError("this companion file describes no image", path, "check the file")
        places = _Mine(path, None, document).places(document.images[0])
    return Told(document.images[0], places, len(document.images), _more(len(document.images)))


def files_of(path: Path) -> tuple[str, ...]:
    """Names of the files that a companion file describes, or that are in one set with an OME-TIFF and are part of the
    same image, itself among them, with the folders below that of `path`; empty if it cannot be told."""
    with suppress(InputError, OSError, ValueError, KeyError), decoding(path), interpreting(path):
        if path.name.lower().endswith(COMPANION):
            document = parse(bounded.read(path).decode("utf8"))
            return () if document is None else document.files
        with tifffile.TiffFile(path, mode="r", _multifile=False) as tif:
            found = told(path, tif) if tif.is_ome else ""
            return () if isinstance(found, str) else tuple(_relative(file, path.parent) for file in found.files)
    return ()


def open_planes(path: Path, found: Told, eager: int) -> tuple[Any, str]:
    """The voxels `(T, C, Z, page)` in the image's order and their axis letters; in memory up to `eager` bytes.

    Raises `InputError` if the pages are not what the OME-XML says.
    """
    stored, kinds = 0, set()
    for file, numbers in _by_file(found.pages).items():
        with decoding(file), tifffile.TiffFile(file, mode="r", _multifile=False) as tif:
            for n in numbers:
                if n >= len(tif.pages):
                    raise InputError(f"this TIFF lacks page {n}, of which its set speaks", file, "copy the file again")
                page = tif.pages[n]
                stored += whole(file, page, tif.filehandle.size)
                kinds.add((page.shape, page.axes, np.dtype(page.dtype)))
    size = found.image.sizes
    if len(kinds) > 1:
        raise InputError("the planes of this image differ in shape or type", path, "check the files of its set")
    shape, axes, dtype = kinds.pop()
    if [shape[axes.index(c)] for c in "YX"] != [size["Y"], size["X"]]:
        raise InputError(
            f"the planes of this image are {'×'.join(map(str, shape))} and its OME-XML says {size['Y']}×{size['X']}",
            path,
            "check the files of its set",
        )
    planes = Planes(found.pages, found.image.lead, shape, dtype)
    declared = nbytes(planes.shape, dtype)
    plausible(path, declared, stored, RATIO)
    everything = (slice(None),) * len(planes.shape)
    return planes[everything] if declared <= eager else planes, found.image.order + axes


@dataclass(frozen=True)
class _Mine:
    """Which blocks of a document lie in this file, and where the others do."""

    path: Path
    uuid: str | None
    document: Document

    def owns(self, file: str | None, uuid: str | None) -> bool:
        if file is None and uuid is None:
            return True
        if self.uuid is not None and uuid is not None:
            return uuid == self.uuid
        if file is not None and _same(_last(file), self.path.name):
            return self._at(file) == self.path.with_name(_last(file))
        # A file that stands alone may have been renamed.
        alone = len(self.document.files) == 1 and not self.path.name.lower().endswith(COMPANION)
        return alone and not self._at(self.document.files[0]).exists()

    def _at(self, file: str) -> Path:
        """Where a named file lies: in the folder below that it names; else here, if no other has its name."""
        below, here = self.path.parent / file, self.path.with_name(_last(file))
        others = [name for name in self.document.files if _same(_last(name), _last(file))]
        own = len(others) == 1 or _same(Path(file).parent.name, self.path.parent.name)
        return here if own and not below.is_file() else below

    def places(self, image: Described) -> tuple[Place, ...]:
        """Where each plane of an image lies; `InputError` if a file is missing or a plane is nowhere."""
        places: list[Place | None] = [None] * image.planes
        gone: list[str] = []
        for block in image.blocks:
            own = self.owns(block.file, block.uuid)
            file = self.path if own else self._at(block.file or "a file without a name")
            if not own and not file.is_file():
                gone.append(_relative(file, self.path.parent))
                continue
            count = image.planes - block.first if block.count is None else block.count
            for k in range(min(count, image.planes - block.first)):
                places[block.first + k] = (file, block.ifd + k)
        if gone:
            gone = list(dict.fromkeys(gone))
            names = ", ".join(gone[:3]) + (" …" if len(gone) > 3 else "")
            raise InputError(
                f"this image lies in several files, of which {len(gone)} are missing: {names}",
                self.path,
                "put all files of the set into one folder",
            )
        known = [place for place in places if place is not None]
        if len(known) < len(places):
            raise InputError("this TIFF lacks some of its images", self.path, "copy the file again")
        return tuple(known)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _same(one: str, other: str) -> bool:
    first, second = (unicodedata.normalize("NFC", name).casefold() for name in (one, other))
    return first == second


def _more(images: int) -> tuple[str, ...]:
    return () if images < 2 else (f"the file holds {images} images; the first is read",)


def _by_file(places: tuple[Place, ...]) -> dict[Path, list[int]]:
    numbers: dict[Path, list[int]] = {}
    for file, n in places:
        numbers.setdefault(file, []).append(n)
    return numbers
