"""What a model description says, in one form for formats 0.4 and 0.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.errors import ModelError

SPACE = ("z", "y", "x")


@dataclass(frozen=True)
class File:
    """A file of the package, with the sha256 that the description gives it."""

    name: str
    sha256: str | None = None


@dataclass(frozen=True)
class Free:
    """Sizes `least + n * step`, n = 0, 1, …; a step of 0 fixes the size."""

    least: int
    step: int


@dataclass(frozen=True)
class Like:
    """The size of an axis of another tensor, scaled, plus `offset` voxels."""

    tensor: str
    axis: str
    scale: float = 1.0
    offset: int = 0


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor. `size` is None where any will do; `halo` voxels at both ends are not to be relied on; `um`
    is the size of a voxel in micrometres, where it is told."""

    id: str
    kind: Literal["batch", "channel", "index", "time", "space"]
    size: int | Free | Like | None = None
    halo: int = 0
    um: float | None = None


@dataclass(frozen=True)
class Operation:
    """A step of pre- or postprocessing. `kwargs["axes"]` holds axis ids, reduced jointly; None is all of them."""

    id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensor:
    """An input or output. `operations` are its pre- or postprocessing, `test` its test tensor as `.npy`."""

    id: str
    axes: tuple[Axis, ...]
    channels: tuple[str, ...]
    dtype: str
    operations: tuple[Operation, ...]
    test: File | None
    optional: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(axis.id for axis in self.axes)

    @property
    def space(self) -> tuple[str, ...]:
        """Spatial axes in the order `(Z)YX`."""
        here = [axis.id for axis in self.axes if axis.kind == "space"]
        return tuple(sorted(here, key=lambda a: (SPACE.index(a) if a in SPACE else -1, a)))

    def axis(self, name: str) -> Axis:
        return next(axis for axis in self.axes if axis.id == name)


@dataclass(frozen=True)
class Architecture:
    """A callable that makes the network: of a file of the package, or of a library."""

    callable: str
    kwargs: Mapping[str, Any]
    file: File | None = None
    module: str | None = None


@dataclass(frozen=True)
class Weights:
    """One weights entry. `external` holds the data of an ONNX graph that keeps them apart."""

    kind: str
    file: File
    architecture: Architecture | None = None
    external: File | None = None
    strict: bool = True

    def files(self) -> tuple[File, ...]:
        """The files of this entry."""
        architecture = self.architecture.file if self.architecture else None
        return tuple(file for file in (self.file, self.external, architecture) if file)


@dataclass(frozen=True)
class Description:
    """A model description; `plain` is the whole of it as it was read."""

    name: str
    version: str
    licence: str
    about: str
    format: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: Mapping[str, Weights]
    plain: Mapping[str, Any]

    @property
    def toolkit(self) -> Mapping[str, Any] | None:
        """What this toolkit wrote into the package, if it did."""
        config = self.plain.get("config")
        found = config.get("toolkit") if isinstance(config, Mapping) else None
        return found if isinstance(found, Mapping) else None

    def files(self) -> tuple[File, ...]:
        """Files that running and testing the model takes."""
        tests = [t.test for t in (*self.inputs, *self.outputs) if t.test]
        return (*(f for w in self.weights.values() for f in w.files()), *tests)

    def code(self) -> tuple[File, ...]:
        """Files of the package that are code, or hold it."""
        files = [w.architecture.file for w in self.weights.values() if w.architecture and w.architecture.file]
        return (*files, *(w.file for w in self.weights.values() if w.kind == "torchscript"))


def file(source: object, sha256: object = None) -> File:
    """A file of the package by what a description calls `source`; an address is refused."""
    name = str(source).removeprefix("./")
    if "://" in name:
        raise ModelError("a model package may not point outside itself", name, "get the packaged model")
    return File(name, str(sha256) if sha256 else None)
