"""Files of label layers, box by box: what is to be done for them, by anybody and in any order, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.io.render import Layers, painted
from toolkit.values.inside import Inside
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects, reader
from toolkit.values.tiles import Box


@dataclass(frozen=True, eq=False)
class Files:
    """Contents of files by name."""

    content: Mapping[str, NDArray[np.uint8]]


class Form(Protocol):
    """How layers of labels are stored in files that each hold the labels of one of the `boxes`."""

    @property
    def stage(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def boxes(self) -> list[Box]: ...

    def files(self, labels: NDArray[Any], box: Box) -> dict[str, NDArray[np.uint8]]:
        """The files of a box, by name."""


@dataclass(frozen=True)
class Shard:
    """All files of a layer in a box. `objects` is their digest; `inside` is what is to be read for it, where it is to
    be made."""

    form: Form
    layer: int
    box: Box
    objects: str
    inside: Inside | None = None

    @property
    def stage(self) -> str:
        """The part of the work that it belongs to."""
        return self.form.stage

    @property
    def file(self) -> str:
        """Name of the file that holds them until the result is written."""
        return f"{self.stage}.{self.objects[:16]}.{self.layer}.{'-'.join(map(str, self.box.start))}"

    def __str__(self) -> str:
        where = ", ".join(f"{a}:{b}" for a, b in zip(self.box.start, self.box.stop, strict=True))
        return f"{self.stage} [{where}] of layer {self.layer}"

    def of(self, objects: Objects) -> Shard:
        """With what is to be read for it."""
        return replace(self, inside=Layers(objects).inside(self.layer, self.box))

    def files(self, read: Callable[[Any], Instances]) -> Files:
        """Paint and compress them; `read` gives a set of parts by its name."""
        assert self.inside is not None, "a shard is made of some objects"
        labels = painted(self.inside, self.form.shape, np.dtype(self.form.dtype), read)
        return Files(self.form.files(labels, self.box))


def shards(form: Form, objects: Objects) -> list[Shard]:
    """All of a form, layer by layer."""
    count = Layers(objects).count
    return [Shard(form, layer, box, objects.digest) for layer in range(count) for box in form.boxes]


Make = Callable[[Sequence[Shard], Objects], Iterable[Files]]
"""Has shards of objects made, and gives their files in the same order."""


def one_by_one(shards: Sequence[Shard], objects: Objects) -> Iterator[Files]:
    """Make them here, when they are asked for."""
    return (shard.of(objects).files(reader(objects)) for shard in shards)
