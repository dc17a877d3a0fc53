"""What a description may ask for: numbers that are numbers, and none beyond what a model of images needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from toolkit.errors import ModelError
from toolkit.registry.bioimageio.description import Axis, Description, Free, Like, Operation, Tensor
from toolkit.registry.bioimageio.roles import roles

LONGEST = 2**16
"""Voxels of an axis, of a step between sizes, of a halo."""
MOST_CHANNELS = 4096
MOST_OPERATIONS = 64
MOST_LETTERS = 1000
"""Letters of a name."""
SCALES = 2.0**-10, 2.0**10


def check(description: Description, where: str) -> None:
    """Raise `ModelError` for what is beyond them, and whatever is wrong with the configuration of the heads."""
    for what in _wrong(description):
        raise ModelError("this model description is not valid", f"{where}: {what}", "ask the model's author")
    for output in description.outputs:
        roles(description, output)


def _wrong(description: Description) -> Iterator[str]:
    for key in ("config", "weights"):
        if not isinstance(description.plain.get(key) or {}, Mapping):
            yield f"{key} is no mapping"
    tensors = (*description.inputs, *description.outputs)
    if not tensors or not description.inputs or not description.outputs:
        yield "it has no input or no output"
    names = (description.name, description.version, description.licence, *(t.id for t in tensors))
    if any(len(name) > MOST_LETTERS for name in names):
        yield f"a name has more than {MOST_LETTERS} letters"
    if len({t.id for t in tensors}) < len(tensors):
        yield "inputs and outputs need a name of their own each"
    for tensor in tensors:
        yield from (f"{tensor.id}: {what}" for what in _wrong_tensor(tensor))


def _wrong_tensor(tensor: Tensor) -> Iterator[str]:
    if len(set(tensor.ids)) < len(tensor.ids) or not 0 < len(tensor.ids) <= 8:
        yield "its axes need a name of their own each"
    if len(tensor.channels) > MOST_CHANNELS or len(tensor.operations) > MOST_OPERATIONS:
        yield f"it has more than {MOST_CHANNELS} channels or {MOST_OPERATIONS} operations"
    for axis in tensor.axes:
        if axis.kind not in ("batch", "channel", "index", "time", "space"):
            yield f"{axis.id} is an axis of an unknown kind, {axis.kind!r}"
        elif not _sound(axis):
            yield f"the size or halo of {axis.id} makes no sense"
    for operation in tensor.operations:
        if not _finite(operation):
            yield f"{operation.id}: a percentile is no number from 0 to 100, or a number is not finite"


def _sound(axis: Axis) -> bool:
    if not 0 <= axis.halo <= LONGEST:
        return False
    match axis.size:
        case Free(least, step):
            return 0 <= least <= LONGEST and 0 <= step <= LONGEST and least + step > 0
        case Like(scale=scale, offset=offset):
            return SCALES[0] <= scale <= SCALES[1] and abs(offset) <= LONGEST
        case None:
            return True
        case size:
            return 0 < size <= LONGEST


def _finite(operation: Operation) -> bool:
    """Whether the numbers of an operation are such; `clip` alone knows bounds that are not finite."""
    if not isinstance(operation.kwargs, Mapping):
        return False
    for key, value in operation.kwargs.items():
        numbers: list[Any] = value if isinstance(value, list) else [value]
        floats = [n for n in numbers if isinstance(n, float)]
        if operation.id != "clip" and not all(map(isfinite, floats)):
            return False
        if "percentile" in key and value is not None:
            known = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not known or not 0 <= value <= 100:
                return False
    return True
