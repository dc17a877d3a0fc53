"""What is shown: an image, one or two sets of objects, their tables, and what a method thought."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.registry.package import file_digest
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.thought import Marks
from toolkit.view.codes import Channel, channels
from toolkit.view.found import Beside, Result, axes_of
from toolkit.view.levels import fielded, levels_of, pyramid
from toolkit.view.painted import Painted
from toolkit.view.pyramid import Pyramid, deep
from toolkit.view.table import Table, matched, table

TILE = 256
READ = 2**32
"""Bytes of an image that are read to see whether it is the one that was segmented."""
INK = {"points": ("#ffcc00", ""), "ellipses": ("#33ddff", ""), "lines": ("#33ff88", "#ff5533")}
"""Colours of marks, and of those that speak against."""
INKS = ("#ffb000", "#33ccff", "#ff55aa", "#77ff33", "#bb88ff", "#ff7744", "#33ffcc", "#ffffff")
"""Colours of what a method thought."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that is shown, and how its channels become 8 bits. `name` is empty for the image itself; `side` is whose
    thought it is."""

    pyramid: Pyramid
    channels: Sequence[Channel]
    name: str = ""
    side: int = 0

    def about(self) -> dict[str, Any]:
        return {"name": self.name, "side": self.side, "channels": [channel.plain() for channel in self.channels]}


@dataclass(frozen=True, eq=False)
class Side:
    """One set of objects."""

    title: str
    painted: Painted
    table: Table

    def about(self) -> dict[str, Any]:
        return {
            "title": self.title, "objects": len(self.painted.instances), "layers": self.painted.layers,
            "columns": self.table.about(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawn:
    """Points, lines or ellipses of a side."""

    name: str
    marks: Marks
    side: int = 0

    def about(self) -> dict[str, Any]:
        colour, against = INK[self.marks.kind]
        return {
            "name": self.name, "kind": self.marks.kind, "side": self.side, "count": len(self.marks),
            "colour": colour, "against": against,
        }  # fmt: skip

    def data(self) -> bytes:
        """Rows of three coordinates each: a flat image lies at 0."""
        rows = self.marks.rows()
        ndim = self.marks.places.shape[1]
        wide = [np.zeros((len(rows), 3 - ndim), np.float32), rows[:, :ndim]]
        if self.marks.kind != "points":
            wide += [np.zeros((len(rows), 3 - ndim), np.float32), rows[:, ndim : 2 * ndim]]
        return np.concatenate([*wide, rows[:, -1:]], axis=1).astype("<f4").tobytes()


@dataclass(frozen=True, eq=False)
class Scene:
    """`shape` `(A, Y, X)`; `voxel_size` along these axes, in µm if `calibrated`; `along` says what the first axis is:
    `z`, `t`, both, or nothing. `factor`: voxels of the image per voxel of the scene, where it is coarser."""

    name: str
    shape: tuple[int, int, int]
    voxel_size: tuple[float, ...]
    calibrated: bool
    along: str
    pictures: Sequence[Picture]
    sides: Sequence[Side]
    notes: Sequence[str] = field(default=())
    marks: Sequence[Drawn] = field(default=())
    factor: tuple[int, int, int] = (1, 1, 1)

    @property
    def ratio(self) -> tuple[float, ...]:
        """Voxels along each axis in units of the shortest edge."""
        return tuple(v / min(self.voxel_size) for v in self.voxel_size)

    def steps(self, axis: int, level: int) -> int:
        """Voxels along an axis that a pixel of a level stands for: an axis of longer voxels waits for the others."""
        return 1 if self.shape[axis] == 1 else int(2 ** max(0, level - round(float(np.log2(self.ratio[axis])))))

    @property
    def levels(self) -> int:
        """How many levels there are: at the coarsest, each plane is one tile."""
        level = 0
        while any(-(-n // self.steps(a, level)) > TILE for a, n in enumerate(self.shape)):
            level += 1
        return level + 1

    def about(self) -> dict[str, Any]:
        """All that the page is told before it asks."""
        return {
            "name": self.name, "shape": self.shape, "ratio": self.ratio, "voxel": self.voxel_size, "tile": TILE,
            "calibrated": self.calibrated, "along": self.along, "levels": self.levels, "notes": list(self.notes),
            "steps": [[self.steps(axis, level) for axis in range(3)] for level in range(self.levels)],
            "pictures": [picture.about() for picture in self.pictures], "sides": [side.about() for side in self.sides],
            "marks": [drawn.about() for drawn in self.marks], "factor": self.factor,
        }  # fmt: skip


def scene(result: Result, beside: Sequence[Beside] = ()) -> Scene:
    """The image `result` with its objects, and what is beside it.

    An image that is gone, or is not what it was, is left out with a note. Raises `InputError` for objects that are
    damaged, or are none of the same image.
    """
    objects, stored = _objects(result)
    sets = [objects]
    for one in beside:
        sets.append(one.read())
        if sets[-1].shape != objects.shape:
            raise InputError(f"these are objects of an image of {list(sets[-1].shape)} voxels, not "
                             f"{list(objects.shape)}", one.where, "choose objects of the same image")  # fmt: skip
    images, size, calibrated, along, notes = _image(result, objects.shape)
    if not images and stored:
        size, calibrated = stored[-len(size) :] if len(size) <= len(stored) else size, True
    drawn = []
    for number, zarr in enumerate([result.zarr, *(b.result.zarr for b in beside if b.result)]):
        more_images, more_marks = _thoughts(zarr, number, objects.shape)
        images += more_images
        drawn += more_marks
    titles = [(result.recipe and f"{result.recipe}: {result.name}") or result.name, *(one.title for one in beside)]
    files = [result.beside(".objects.csv"), *(b.result.beside(".objects.csv") if b.result else None for b in beside)]
    sides = []
    for number, (title, found, file) in enumerate(zip(titles, sets, files, strict=True)):
        more = matched(found, sets[1 - number]) if len(sets) == 2 else {}
        sides.append(Side(title, Painted(found), table(file, found, more)))
    spacing = (1.0,) * (3 - len(size)) + tuple(size)
    if along != "z":
        spacing = (min(spacing[1:]), *spacing[1:])
    return Scene(result.name, deep(objects.shape), spacing, calibrated, along, images, sides, notes, drawn)


def _thoughts(zarr: Path, side: int, shape: tuple[int, ...]) -> tuple[list[Picture], list[Drawn]]:
    """What the method of a side thought: fields as pictures, and marks."""
    from toolkit.io.zarrthoughts import read_thoughts

    fields, marks = read_thoughts(zarr)
    pictures = []
    for name, source in fields.items():
        flat = fielded(source, shape)
        if flat is None:
            raise InputError("what the method thought is of another image", f"{zarr}, {name}", "run it anew")
        levels = Pyramid([(Image(flat, "CYX" if len(flat.shape) == 3 else "CZYX"), (1, 1, 1))])
        pictures.append(Picture(levels, channels(levels, (), INKS), name, side))
    return pictures, [Drawn(name, one, side) for name, one in marks.items()]


def _objects(result: Result) -> tuple[Instances, tuple[float, ...]]:
    from toolkit.io.zarrinstances import read_zarr_instances

    return read_zarr_instances(result.zarr)


def _image(
    result: Result, shape: tuple[int, ...]
) -> tuple[list[Picture], tuple[float, ...], bool, str, tuple[str, ...]]:
    """The picture, if it is there, with voxel size, whether that is known, the first axis, and notes. Where the image
    is gone, its copy in the result is shown."""
    along, notes = {2: "", 3: "z", 4: "t·z"}[len(shape)], list[str]()
    for path, about in _places(result, notes):
        try:
            if path != result.zarr:
                _same(path, result.sha256)
            levels, first = pyramid(path, **about())
            if levels.shape != deep(shape):
                raise InputError("the image has another shape than its objects", path, "run it anew")
            found = channels(levels, first.channel_names)
        except InputError as error:
            notes.append(f"the image is not shown: {error}")
            continue
        along = "t" if first.ndim == 2 and len(shape) == 3 else along
        notes = [note.replace("the image is not shown", "a copy of the image is shown") for note in notes]
        return [Picture(levels, found)], first.voxel_size, first.calibrated, along, _said(notes)
    return [], (1.0,) * min(3, len(shape)), False, along, _said(notes)


def _same(path: Path, sha256: str) -> None:
    """Raise `InputError` if the file is another one than that of the digest; a very large one is not read for it."""
    if sha256 and path.is_file() and path.stat().st_size <= READ and file_digest(path) != sha256:
        raise InputError("it is another image than the one that was segmented", path, "run it anew")


def _places(result: Result, notes: list[str]) -> Iterator[tuple[Path, Callable[[], Mapping[str, Any]]]]:
    """Where the image may be, and how its axes and voxel size are found."""
    copy = levels_of(result.zarr)[:1] == ["0"]
    if result.image is not None:
        yield Path(result.image), partial(axes_of, result)
    elif not copy:
        notes.append("no record says which image this was")
    if copy:
        yield result.zarr, lambda: {"axes": None, "voxel_size": None}


def _said(notes: list[str]) -> tuple[str, ...]:
    for note in notes:
        _log.warning("%s", note)
    return tuple(notes)
