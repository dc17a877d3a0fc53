"""What the record of a run says to whoever looks at its result: somebody else may have written it, so it is checked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PositiveInt

from toolkit.errors import InputError, UsageError
from toolkit.files import bounded
from toolkit.io.axes import checked
from toolkit.io.units import LEAST, MOST
from toolkit.running.trespass import RECORD

Feature = Literal["shape", "intensity"]
"""What may be measured beside the size."""
LARGER = 1e3
"""No image is seen at a size that differs by more."""


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError("it leads out of the folder")
    return name


def _single(name: str) -> str:
    if name and PurePosixPath(_inside(name)).name != name:
        raise ValueError("it is no name")
    return name


def _sensible(axes: str) -> str:
    try:
        checked(axes, "C")
    except UsageError as error:
        raise ValueError(str(error)) from error
    return axes


class Size(BaseModel):
    """At what size an image was seen."""

    by: tuple[Annotated[float, Field(ge=1 / LARGER, le=LARGER)], ...] = Field((), max_length=3)


class Entry(BaseModel):
    """One image of a run. `files` lie in its folder; `shape` has a first axis of time where it is a series."""

    input: str
    stem: Annotated[str, AfterValidator(_single)] = ""
    sha256: str = ""
    shape: tuple[PositiveInt, ...] = ()
    files: tuple[Annotated[str, AfterValidator(_inside)], ...] = ()
    size: Annotated[Size, BeforeValidator(lambda size: size or {})] = Size()
    error: str | None = None

    @property
    def zarrs(self) -> tuple[str, ...]:
        """Those of its files that hold objects."""
        return tuple(name for name in self.files if name.endswith(".zarr"))


class Options(BaseModel):
    """What the run was told of its images."""

    axes: Annotated[str, AfterValidator(_sensible)] | None = None
    voxel_size: tuple[Annotated[float, Field(ge=LEAST, le=MOST)], ...] | None = None
    min_score: Annotated[float, Field(ge=0)] | None = None
    roi: str | None = None
    mask: str | None = None


class Told(Options):
    """All that repeats the run, but what belongs to a machine: somebody else may have written it."""

    block: PositiveInt | None = None
    preview: bool = True
    features: tuple[Feature, ...] = ()
    parquet: bool = False
    diameter: str = "off"
    show: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ome_zarr: Literal["0.4", "0.5"] = "0.5"
    skip: tuple[str, ...] = ()


class Recorded(BaseModel):
    """A record, as far as a result is looked at by it. `images` are those of which something came."""

    images: tuple[Entry, ...]
    options: Options
    recipe: dict[str, Any]
    model: dict[str, Any] = {}


def recorded(out: Path) -> Recorded:
    """The record in the folder of a run. Raises `FileNotFoundError` without one, `InputError` if it is damaged."""
    path = out / RECORD
    try:
        found = Recorded.model_validate(bounded.read_json(path, 2**29))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError("the record of this result is damaged", path, "run seg run again") from error
    return found.model_copy(update={"images": tuple(image for image in found.images if not image.error)})
