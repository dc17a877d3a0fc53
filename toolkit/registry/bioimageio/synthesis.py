"""A recipe for a model that came without one: what its description lets us know about windows, scale and heads."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from toolkit.builtin.packaged import Packaged, PackagedHeads
from toolkit.errors import ModelError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.sections import Input, Learning, Tiling
from toolkit.registry.bioimageio.description import Axis, Description, Free, Like, Operation, Tensor
from toolkit.registry.bioimageio.outputs import Output, kinds, maps
from toolkit.registry.bioimageio.roles import INSTANCES
from toolkit.registry.bioimageio.scaling import normalised
from toolkit.steps.normalise import Normalise
from toolkit.values.prediction import Head

WINDOW = {1: 4096, 2: 256, 3: 64}
"""Voxels along each axis that a window should have, by the number of axes."""
MOST_NUMBERS = 2**27
"""Numbers that a window may have, all channels together."""
FINEST = 16
"""Steps between windows are at least this part of one."""


@dataclass(frozen=True)
class Adapter:
    """How windows go through a foreign model.

    `operations` are what is left of the preprocessing once the recipe's `normalise` has done its part; `margin` is what
    the input needs around a window; `single` says that it takes one sample at a time.
    """

    description: Description
    channels: int
    normalise: Normalise
    operations: tuple[Operation, ...]
    outputs: tuple[Output, ...]
    margin: tuple[int, ...]
    halo: tuple[int, ...]
    single: bool
    notes: tuple[str, ...]

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads; one that several outputs have a part of has the channels of all of them."""
        found: dict[str, Head] = {}
        for head in (part.head for output in self.outputs for part in output.parts):
            known = found.get(head.name)
            found[head.name] = head if known is None else replace(head, channels=known.channels + head.channels)
        return tuple(found.values())

    def size(self, axis: str) -> int | Free:
        """What the model's first input allows along an axis."""
        return _size(self.description.inputs[0], axis)

    def fits(self, axis: str, size: int) -> bool:
        """Whether the input may have `size` voxels along an axis."""
        allowed = self.size(axis)
        if isinstance(allowed, int):
            return size == allowed
        return size >= allowed.least and (size - allowed.least) % max(1, allowed.step) == 0

    def wants(self, axis: str) -> str:
        """The window sizes that fit, in words."""
        allowed = self.size(axis)
        cut = 2 * self.margin[self.description.inputs[0].space.index(axis)]
        return str(allowed - cut) if isinstance(allowed, int) else f"{allowed.least - cut} + n·{allowed.step}"

    def window(self) -> tuple[int, ...]:
        """A window of about the usual size."""
        space = self.description.inputs[0].space
        return tuple(
            _about(self.size(axis), WINDOW[len(space)] + 2 * cut) - 2 * cut
            for axis, cut in zip(space, self.margin, strict=True)
        )


def adapter(description: Description) -> Adapter:
    """How to run the model on windows; raises `ModelError`, saying why, if it cannot be run on images alone."""
    description = _flat(_invariant(description))
    source = _only_input(description)
    outputs, left = maps(description, source)
    if not outputs:
        raise ModelError("no output of this model is a map of the image", description.name,
                         "choose a model that predicts images")  # fmt: skip
    normalise, operations, notes = normalised(source)
    margin = tuple(max(o.margin[d] for o in outputs) for d in range(len(source.space)))
    halo = tuple(max(description.outputs[o.index].axis(axis).halo for o in outputs) for axis in source.space)
    batch = [axis for axis in source.axes if axis.kind == "batch"]
    found = Adapter(
        description=description,
        channels=len(source.channels) if source.channels else 0 if _open(source) else 1,
        normalise=normalise,
        operations=operations,
        outputs=outputs,
        margin=margin,
        halo=halo,
        single=not batch or batch[0].size == 1,
        notes=(*notes, *left),
    )
    numbers = max(1, found.channels) * prod(n + 2 * m for n, m in zip(found.window(), margin, strict=True))
    if numbers > MOST_NUMBERS or min(found.window()) < 1:
        raise ModelError("the model wants windows that are no windows", f"{description.name}: {found.window()}",
                         "ask the model's author")  # fmt: skip
    return found


def recipe(adapter: Adapter, catalogue: Catalogue) -> Recipe:
    """A recipe that runs the model; its post-processor is the built-in one that reads such heads."""
    window = adapter.window()
    usual = [n // 4 for n in window]
    overlap = tuple(min(n - 1, 2 * h or u) for n, h, u in zip(window, adapter.halo, usual, strict=True))
    if any(n - o < n / FINEST for n, o in zip(window, overlap, strict=True)):
        raise ModelError("hardly anything of a window can be relied on", f"{adapter.description.name}: halo "
                         f"{adapter.halo}, window {window}", "ask the model's author")  # fmt: skip
    name = re.sub(r"[^a-z0-9]+", "-", adapter.description.name.lower()).strip("-") or "model"
    affinities = next((h for h in adapter.heads if h.name == "affinities"), None)
    chosen: dict[str, Any] = {"kind": "watershed"}
    if affinities is not None:
        chosen = {"kind": "mutex_watershed", "offsets": affinities.offsets}
    objects = [adapter.description.outputs[o.index] for o in adapter.outputs if o.parts[0].head.name == INSTANCES]
    if objects:
        chosen = {"kind": "instances", "names": kinds(objects)}
    channels: Any = "auto" if adapter.channels == 1 else tuple(range(adapter.channels)) or "all"
    source = adapter.description.inputs[0]
    spacing = tuple(um for axis in source.space if (um := source.axis(axis).um) is not None)
    return Recipe(
        schema="toolkit.recipe/1",
        name=name,
        input=Input(channels=channels, spacing_um=spacing if len(spacing) == len(window) else None),
        normalise=adapter.normalise,
        network=Packaged(model=adapter.description.name),
        loss=PackagedHeads(outputs=adapter.heads),
        postprocess=catalogue.find("postprocessors", chosen["kind"], "builtin").model_validate(chosen),
        tiling=Tiling(window=window, overlap=overlap),
        training=Learning(crop=window),
    )


def _invariant(description: Description) -> Description:
    """The description with an axis `index` of the input as its channels: so the format says that any number will do."""
    if not description.inputs:
        return description
    first, *others = description.inputs
    free = [a for a in first.axes if a.kind == "index" and not isinstance(a.size, int)]
    if len(free) != 1 or any(axis.kind == "channel" for axis in first.axes):
        return description
    axes = tuple(replace(axis, kind="channel") if axis is free[0] else axis for axis in first.axes)
    return replace(description, inputs=(replace(first, axes=axes), *others))


def _flat(description: Description) -> Description:
    """The description without axes of space of size 1 that outputs have and the input has not."""
    known = {axis for tensor in description.inputs for axis in tensor.space}

    def flat(axis: Axis) -> Axis:
        gone = axis.kind == "space" and axis.size == 1 and axis.id not in known
        return replace(axis, kind="index") if gone else axis

    outputs = tuple(replace(o, axes=tuple(map(flat, o.axes))) for o in description.outputs)
    return replace(description, outputs=outputs)


def _only_input(description: Description) -> Tensor:
    needed = [tensor for tensor in description.inputs if not tensor.optional]
    if len(needed) != 1 or needed[0] is not description.inputs[0]:
        names = ", ".join(tensor.id for tensor in needed)
        raise ModelError("this model needs more than an image", f"{description.name}: inputs {names}",
                         "choose a model with one input")  # fmt: skip
    source = needed[0]
    if not set(source.space) <= {"z", "y", "x"} or not {"y", "x"} <= set(source.space):
        raise ModelError("this model does not work on images", f"{description.name}: axes {', '.join(source.ids)}",
                         "choose a model with axes y and x, or z, y and x")  # fmt: skip
    for axis in source.axes:
        if axis.kind in ("index", "time") and axis.size != 1:
            raise ModelError("this model needs an axis that images here do not have",
                             f"{description.name}: {axis.id}", "choose a model of single images")  # fmt: skip
    return source


def _open(source: Tensor) -> bool:
    """Whether an input takes any number of channels."""
    return any(axis.kind == "channel" and not isinstance(axis.size, int) for axis in source.axes)


def _size(source: Tensor, axis: str) -> int | Free:
    size = source.axis(axis).size
    if isinstance(size, Like) and size.tensor == source.id and size.axis in source.ids and size.offset == 0:
        size = source.axis(size.axis).size
    if isinstance(size, (int, Free)):
        return size
    raise ModelError("the size of an axis is not described", axis, "ask the model's author")


def _about(allowed: int | Free, wanted: int) -> int:
    if isinstance(allowed, int):
        return allowed
    step = max(1, allowed.step)
    return allowed.least + step * max(0, -(-(wanted - allowed.least) // step))
