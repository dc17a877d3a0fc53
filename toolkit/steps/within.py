"""A part of an image: a box, the voxels of a mask, or both. Objects are cut to it and marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, UsageError
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

CHUNK = 2**24
"""Voxels of objects that are looked at at once."""
CUT = " cut"
"""Name of the mark among the attributes, which no method may take."""
SPAN = re.compile(r"(\d{0,18}):(\d{0,18})")


def spans(text: str, option: str = "--roi") -> tuple[tuple[int, int | None], ...]:
    """`0:512,100:300` as first and one past the last voxel along `(Z)Y,X`, None for the end. Raises `UsageError`."""
    found = []
    for part in text.replace(" ", "").split(","):
        match = SPAN.fullmatch(part)
        first, last = (int(match[1] or 0), int(match[2]) if match[2] else None) if match else (0, 0)
        if last is not None and last <= first:
            raise UsageError("a box is first:last along each axis, (Z,)Y,X", f"{option} {text}",
                             "such as 0:512,100:300")  # fmt: skip
        found.append((first, last))
    return tuple(found)


def box(text: str, shape: Sequence[int], name: str, option: str = "--roi") -> Box:
    """The box that is meant in an image of `shape`, as far as it lies in it. Raises `InputError` if it does not."""
    wanted = spans(text, option)
    if len(wanted) != len(shape):
        raise InputError(f"the box has {len(wanted)} axes and the image has {len(shape)}", f"{name}, {option} {text}",
                         "name first:last for each axis, (Z,)Y,X")  # fmt: skip
    stop = tuple(n if b is None else b for (_, b), n in zip(wanted, shape, strict=True))
    inside = Box(tuple(a for a, _ in wanted), stop) & Box.whole(shape)
    if not inside.size:
        raise InputError("the box lies outside of the image", f"{name}, {list(shape)} voxels, {option} {text}",
                         "name a part of it")  # fmt: skip
    return inside


def within(
    instances: Instances, part: Box | None, mask: NDArray[np.bool_] | None
) -> tuple[Instances, NDArray[np.bool_]]:
    """The objects as far as they lie in `part` and where `mask`, of the image's shape, is true, in the coordinates of
    the image; and `(N,)` which of them were cut. Objects that lie outside are left out."""
    if part is None and mask is None:
        return instances, np.zeros(len(instances), bool)
    start, length, owner = instances.moved(Box.whole(instances.shape), instances.shape, part)
    if mask is not None:
        flat, kept = mask.reshape(-1), [(start[:0], length[:0], owner[:0])]
        for some in runs.chunks(length, CHUNK):
            index = runs.voxels(start[some], length[some])
            inside = flat[index]
            whose = np.repeat(owner[some], length[some])
            kept.append(runs.of_voxels(index[inside], whose[inside], instances.shape[-1]))
        start, length, owner = (np.concatenate(column) for column in zip(*kept, strict=True))
    left = np.bincount(owner, weights=length, minlength=len(instances)).astype(np.int64)
    there = {**instances.attributes, CUT: left < instances.sizes}  # objects change their order where they lose voxels
    found = Instances.from_runs(instances.shape, start, length, owner, instances.scores, there)
    return replace(found, attributes={k: v for k, v in found.attributes.items() if k != CUT}), found.attributes[CUT]
