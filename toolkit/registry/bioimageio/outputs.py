"""Which outputs of a foreign model are maps of its image, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.registry.bioimageio.description import Description, Like, Tensor
from toolkit.registry.bioimageio.roles import Part, roles


@dataclass(frozen=True)
class Output:
    """Output `index` of the model, the heads that its channels become, and how much smaller it is than the input."""

    index: int
    parts: tuple[Part, ...]
    margin: tuple[int, ...]


def maps(description: Description, source: Tensor) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    """The outputs that are maps of the image, and what to tell of those that are not."""
    found: list[Output] = []
    names: list[str] = []
    left: list[str] = []
    for index, output in enumerate(description.outputs):
        margin = _margin(output, source)
        extra = any(axis.kind in ("index", "time") and axis.size != 1 for axis in output.axes)
        if output.space != source.space or margin is None or extra:
            left.append(f"output {output.id} is not used: it is no map of the image, voxel by voxel")
            continue
        parts = roles(description, output, taken=names)
        names += [part.head.name for part in parts]
        found.append(Output(index, parts, margin))
    return tuple(found), tuple(left)


def kinds(objects: Sequence[Tensor]) -> tuple[str, ...]:
    """What the objects of each channel of these outputs are: channels of one output have names, outputs have theirs."""
    if len(objects) == 1:
        return objects[0].channels
    return tuple(
        name
        for output in objects
        for name in ([f"{output.id}/{channel}" for channel in output.channels] if output.channels[1:] else [output.id])
    )


def _margin(output: Tensor, source: Tensor) -> tuple[int, ...] | None:
    """Voxels that the output lacks on each side; None if it has another grid, or is shifted."""
    margin = []
    for axis in output.space:
        size, seen = output.axis(axis).size, source.axis(axis).size if axis in source.ids else None
        if isinstance(size, Like):
            less = -size.offset if size.scale == 1 and (size.tensor, size.axis) == (source.id, axis) else None
        else:
            less = seen - size if isinstance(size, int) and isinstance(seen, int) else None
        if less is None or less < 0 or less % 2:
            return None
        margin.append(less // 2)
    return tuple(margin)
