"""What is to be looked at: the images of a result, one of them by name, and what is set beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import InputError, nearest
from toolkit.evaluation import pairing
from toolkit.io.labels import has_instances
from toolkit.io.paths import stem
from toolkit.running.recorded import recorded
from toolkit.values.instances import Instances


@dataclass(frozen=True)
class Result:
    """One image of a result: its `name`, where its files are, and how its image is read. `sha256`: of the bytes that
    were segmented, where that is known."""

    name: str
    zarr: Path
    image: Path | None = None
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    recipe: str = ""
    sha256: str = ""

    @property
    def folder(self) -> Path:
        return self.zarr.parent

    def beside(self, ending: str) -> Path:
        """A file of this image with another ending."""
        return self.zarr.with_name(self.zarr.name.removesuffix(".zarr") + ending)


def results(out: Path) -> list[Result]:
    """The images of the folder of a run, of a folder that `save` wrote, or of one `.zarr` of these.

    Raises `InputError` for what is no result.
    """
    if not out.exists():
        raise InputError("no such folder", out, "name the folder of a run")
    if has_instances(out):
        beside = {one.zarr.resolve(): one for one in _recorded(out.parent)}
        return [beside.get(out.resolve()) or Result(stem(out), out)]
    found = _recorded(out) if out.is_dir() else []
    if not found and out.is_dir():
        found = [Result(stem(path), path) for path in sorted(out.glob("*.zarr")) if has_instances(path)]
    if not found:
        raise InputError("this is no result of a run", out, "name the OUT of seg run, or a .zarr in it")
    return found


def _recorded(out: Path) -> list[Result]:
    """What `run.json` says of the images whose objects are there."""
    try:
        record = recorded(out)
    except FileNotFoundError:
        return []
    recipe, axes, size = str(record.recipe.get("name", "")), record.options.axes, record.options.voxel_size or None
    return [
        Result(name.removesuffix(".zarr"), out / name, Path(one.input), axes, size, recipe, one.sha256)
        for one in record.images for name in one.zarrs if (out / name).exists()
    ]  # fmt: skip


def chosen(found: list[Result], name: str | None) -> Result:
    """The image of that name, or the first."""
    if name is None:
        return found[0]
    named = {one.name: one for one in found} | {Path(one.image).name: one for one in found if one.image}
    if name not in named:
        raise InputError("the result has no such image", name, nearest(name, [one.name for one in found]))
    return named[name]


@dataclass(frozen=True)
class Beside:
    """Objects that are set beside a result: a `title`, `where` they are and how to read them."""

    title: str
    where: str
    read: Callable[[], Instances]
    result: Result | None = None


def other(path: Path, name: str) -> Beside:
    """Another result of the image, or a label file."""
    if path.is_dir():
        try:
            theirs = results(path)
        except InputError:
            if not path.name.endswith(".zarr"):
                raise
        else:
            one = theirs[0] if len(theirs) == 1 else chosen(theirs, name)
            return Beside(path.name, str(path), partial(io.read_instances, one.zarr), one)
    return Beside(path.name, str(path), partial(io.read_instances, path))


def truth(data: str, result: Result) -> Beside:
    """The true objects of the image: a label file, a folder of them, a data set or `DIR:SPLIT`."""
    if Path(data).is_file():

        def read() -> Instances:
            shape = io.read_instances(result.zarr).shape
            return io.read_truth(data, shape=shape).instances

    else:
        (pair,) = pairing.pairs(result.zarr, data)

        def read() -> Instances:
            return pair.load()[0].instances

    return Beside(f"truth: {Path(data).name}", data, read)


def axes_of(result: Result) -> Mapping[str, Any]:
    """Axes and voxel size of the image: what was said when it was run, else what its data set says."""
    assert result.image is not None, "a result without an image has no axes"
    told = io.find_inputs([result.image])[0]
    return {"axes": result.axes or told.axes, "voxel_size": result.voxel_size or told.voxel_size}
