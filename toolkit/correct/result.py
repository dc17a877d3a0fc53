"""A folder of results as somebody who corrects it sees it: its images, where they came from and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import InputError, UsageError, nearest
from toolkit.running.recorded import Entry, Options, recorded
from toolkit.running.trespass import RECORD
from toolkit.running.wanted import wanted
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import whole

ENDING = ".corrections"
"""Of the folder beside a result, which is a person's."""


@dataclass(frozen=True)
class Segmented:
    """One image of a result. `name` is unique in it: the stem, after the folder where stems are equal."""

    name: str
    input: Path
    sha256: str
    shape: tuple[int, ...]
    """With a first axis of time, where the image is a series."""
    zarr: Path
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    by: tuple[float, ...] = ()
    """The factors that the model saw it enlarged by; none where it saw it as it is."""
    min_score: float = 0.0
    roi: str | None = None
    mask: str | None = None
    """What the run left out."""

    def objects(self) -> Instances:
        """What was found. Raises `InputError` where it is gone or damaged."""
        if not self.zarr.is_dir():
            raise InputError("the objects of this image are gone", self.zarr, "run seg run again")
        found = io.read_instances(self.zarr)
        if found.shape != self.shape:
            raise InputError("the objects are of an image of another shape", self.zarr, "run seg run again")
        return found

    def wanted(self, found: Instances, image: Image, frame: int = 0) -> Instances:
        """Those of other objects of this image, or of a `frame` of it, that the run would not have left out."""
        return whole(wanted(found, image, self.min_score, self.roi, self.mask, frame)[0])

    def frames(self) -> tuple[Image, ...]:
        """The image, or the images of a series, as the run read them; raises `InputError` where it is gone."""
        if not self.input.exists():
            raise InputError("the image of this result is gone", self.input, "put it back where it was")
        (found,) = io.find_inputs([self.input])
        return io.frames(found.path, self.axes or found.axes, self.voxel_size or found.voxel_size)


@dataclass(frozen=True)
class Result:
    """A folder that a run wrote. `model` is what its record says of the model."""

    out: Path
    images: tuple[Segmented, ...]
    model: dict[str, Any]

    @property
    def corrections(self) -> Path:
        """The folder of what a person mends."""
        return self.out.with_name(self.out.name + ENDING)

    def image(self, name: str) -> Segmented:
        """The image of this name; raises `UsageError` with the nearest one."""
        for one in self.images:
            if one.name == name:
                return one
        raise UsageError(f"this result has no image {name!r}", self.out, nearest(name, [i.name for i in self.images]))


def opened(out: str | Path) -> Result:
    """The result in a folder. Raises `InputError` if it is none or its record is damaged."""
    out = Path(out)
    if not (out / RECORD).is_file():
        raise InputError("this is no result of a run", out, "name a folder that seg run has written")
    found = recorded(out)
    about = {name: found.model.get(name) for name in ("reference", "owner", "name", "sha256")}
    images = [_segmented(out, image, found.options) for image in found.images if image.zarrs]
    if not images:
        raise InputError("this result holds the objects of no image", out, "run seg run again")
    return Result(out, tuple(images), {**about, "recipe": found.recipe})


def _segmented(out: Path, image: Entry, options: Options) -> Segmented:
    zarr = Path(image.zarrs[0])
    name = (zarr.parent / image.stem).as_posix()
    return Segmented(
        name=name,
        input=Path(image.input),
        sha256=image.sha256,
        shape=image.shape,
        zarr=out / zarr,
        axes=options.axes,
        voxel_size=options.voxel_size or None,
        by=image.size.by,
        min_score=options.min_score or 0.0,
        roi=options.roi,
        mask=options.mask,
    )
