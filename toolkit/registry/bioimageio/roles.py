"""What the channels of a foreign model's output most likely are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.registry.bioimageio.description import Description, Tensor
from toolkit.values.prediction import Head

WORDS = {
    "affinities": r"affinit",
    "background": r"background|\bbg\b",
    "boundary": r"bound|border|membrane|contour|edge|outline",
    "distance": r"dist",
    "foreground": r"foreground|\bfg\b|prob|mask|nucle|cell|interior|inside|object|body",
}
"""Parts of names, in the order in which they count."""
OPERATIONS = ("stardist_postprocessing", "cellpose_flow_dynamics")
"""Operations that make objects."""
INSTANCES = "instances"
"""The one head of all outputs that are objects already: their channels, one output after the other."""
FARTHEST = 4096
"""Voxels that an affinity may reach along an axis."""


@dataclass(frozen=True)
class Part:
    """A head made of `channels` of an output; `complement` turns a probability p into 1 − p."""

    head: Head
    channels: tuple[int, ...]
    complement: bool = False


def roles(description: Description, output: Tensor, taken: Sequence[str] = ()) -> tuple[Part, ...]:
    """The heads that an output gives, named as the built-in post-processors read them where that can be told.

    A boundary without foreground gives the foreground too, as its complement. Names in `taken` are not used again.
    """
    count = max(1, len(output.channels))
    if instances(output):
        return (Part(Head(INSTANCES, count, transform="none"), tuple(range(count))),)
    parts = _affinities(description, output, count) or _named(output) or _guessed(description, output, count)
    names = {part.head.name for part in parts}
    if "boundary" in names and "foreground" not in names:
        boundary = next(part for part in parts if part.head.name == "boundary")
        parts = (*parts, Part(Head("foreground", 1), boundary.channels, complement=True))
    return tuple(_fresh(part, output, (INSTANCES, *taken)) for part in parts)


def instances(output: Tensor) -> bool:
    """Whether an output is objects already, each voxel with the number of its object."""
    done = [operation.id for operation in output.operations]
    named = re.search(r"instance|labels?$", output.id.lower()) and not {"sigmoid", "softmax", "binarize"} & set(done)
    return bool(named) or any(name in OPERATIONS for name in done)


def role(text: str) -> str | None:
    """The role that a name tells, if any."""
    return next((name for name, words in WORDS.items() if re.search(words, text.lower())), None)


def _affinities(description: Description, output: Tensor, count: int) -> tuple[Part, ...]:
    if count < 2 or "affinities" not in map(role, (output.id, *output.channels, description.name)):
        return ()
    offsets = _offsets(description.plain, len(output.space))
    ndim = len(output.space)
    if offsets is None and count == ndim:
        offsets = tuple(tuple(-1 if a == axis else 0 for a in range(ndim)) for axis in range(ndim))
    if offsets is None or len(offsets) > count:
        return ()
    first = count - len(offsets)
    head = Head("affinities", len(offsets), transform="affinity", offsets=offsets)
    parts = (Part(head, tuple(range(first, count))),)
    # Where there is one channel more than offsets, it comes first and is the foreground.
    return (Part(Head("foreground", 1), (0,)), *parts) if first == 1 else parts


def _offsets(plain: Mapping[str, Any], ndim: int) -> tuple[tuple[int, ...], ...] | None:
    """Offsets of affinities, where the description's configuration has them under this name."""
    todo: list[Any] = [plain.get("config")]
    while todo:
        item = todo.pop()
        if not isinstance(item, Mapping):
            continue
        found = item.get("offsets")
        if isinstance(found, list) and found and all(isinstance(o, list) and len(o) == ndim for o in found):
            return tuple(tuple(map(_step, o)) for o in found)
        todo.extend(item.values())
    return None


def _step(value: object) -> int:
    """A step along an axis; raises `ValueError` for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= FARTHEST or value % 1:
        raise ValueError(f"an offset is {value!r}, and offsets are whole numbers up to {FARTHEST}")
    return int(value)


def _named(output: Tensor) -> tuple[Part, ...]:
    """One head for each channel, if the names of the channels tell what they are."""
    told = [role(name) for name in output.channels]
    useful = [name for name in told if name in ("foreground", "boundary")]
    if len(output.channels) < 2 or not useful or len(set(useful)) < len(useful):
        return ()
    return tuple(Part(Head(name, 1), (i,)) for i, name in enumerate(told) if name in ("foreground", "boundary"))


def _guessed(description: Description, output: Tensor, count: int) -> tuple[Part, ...]:
    softmax = any(operation.id == "softmax" for operation in output.operations)
    if count == 1:
        names = (role(output.id), *(role(name) for name in output.channels), role(description.name))
        known = next((name for name in names if name is not None), "foreground")
        return (Part(Head("boundary" if known == "boundary" else "foreground", 1), (0,)),)
    if softmax and count == 2:
        return (Part(Head("foreground", 1), (1,)),)
    if softmax and count == 3:
        return (Part(Head("foreground", 1), (1,)), Part(Head("boundary", 1), (2,)))
    if count == 2:
        return (Part(Head("foreground", 1), (0,)), Part(Head("boundary", 1), (1,)))
    # What nobody knows nobody can turn.
    return (Part(Head(_slug(output.id), count, transform="none"), tuple(range(count))),)


def _fresh(part: Part, output: Tensor, taken: Sequence[str]) -> Part:
    if part.head.name not in taken:
        return part
    name = f"{_slug(output.id)}-{part.head.name}"
    while name in taken:
        name += "+"
    return replace(part, head=replace(part.head, name=name))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "output"
