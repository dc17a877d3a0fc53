"""Name the axes of a file and bring its array into the toolkit's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, UsageError
from toolkit.io.lettered import assumed
from toolkit.io.raster import Raster, decoding, nbytes

DROPPED = "1"
"""Stands for an axis of one entry that is left out."""
LABELS = "save labels as YX or ZYX, with at most one axis of layers before"
"""What to do about the axes of labels: not every command that reads them takes axes."""
FEW = 16
"""An axis of fewer entries after two of at least as many is one of channels."""


def named(raster: Raster, given: str | None, stack: str, channels: bool | None = None) -> tuple[str, tuple[str, ...]]:
    """One letter per axis of the file's array, `1` where an axis is dropped, and notes about what was assumed.

    `stack` is the letter of the axis before space: "C" for images, "L" (layers) or "Q" (one plane per object) for label
    images. `given` letters count by position and may name that axis even if the file lacks it; but where `channels` is
    said, an axis that the file calls so, or colours, is one of layers, or is refused.
    """
    called = channels is not None and any(
        c in "CS" and n > 1 for c, n in zip(raster.axes, raster.source.shape, strict=True)
    )
    if called and channels:
        raster = replace(raster, axes=raster.axes.replace("C", "L").replace("S", "L"))
    letters = None if called or not given else _from_argument(raster, given, stack)
    return (letters, ()) if letters else _from_file(raster, stack)


def checked(axes: str, stack: str) -> str:
    """Axes as the user wrote them, upper case, samples as channels; `UsageError` if they make no sense."""
    axes = axes.strip().upper().replace("S", "C") if stack == "C" else axes.strip().upper()
    if len(set(axes)) < len(axes) or not set("YX") <= set(axes) <= {*"TZYX", *stack}:
        allowed = ", ".join(f"{c}ZYX" for c in stack)
        raise UsageError("these axes make no sense", repr(axes), f"name each axis once, such as YX, ZYX or {allowed}")
    return axes


def _from_argument(raster: Raster, given: str, stack: str) -> str:
    shape = raster.source.shape
    for wanted in (given, given.translate(str.maketrans("", "", "CLQ"))):
        spare = [i for i in range(len(shape)) if shape[i] == 1]
        spare.sort(key=lambda i: raster.axes[i].replace("S", "C") in wanted)
        surplus = len(shape) - len(wanted)
        if not 0 <= surplus <= len(spare):
            continue
        kept = [i for i in range(len(shape)) if i not in spare[:surplus]]
        if raster.axes[-1] == "S" and shape[-1] > 1:  # colours of each pixel side by side are certain
            if "C" not in wanted:
                continue
            wanted = wanted.replace("C", "") + "C"
        letters = [DROPPED] * len(shape)
        for i, letter in zip(kept, wanted, strict=True):
            letters[i] = letter
        return "".join(letters)
    has = "" if "?" in raster.axes else f" ({raster.axes})"
    do = "give --axes that fit" if "C" in stack else LABELS
    raise InputError(f"the axes {given} do not fit the shape {shape}{has}", raster.path, do)


def _from_file(raster: Raster, stack: str) -> tuple[str, tuple[str, ...]]:
    shape, notes = raster.source.shape, list(raster.notes)
    real = [i for i in range(len(shape)) if shape[i] > 1 or raster.axes[i] in "YX"]
    if not {"Y", "X"} & set(raster.axes) and len(real) < 2 <= len(shape):
        real = [len(shape) - 2, len(shape) - 1]
    if strange := [name for i, name in sorted(raster.strange.items()) if i in real]:
        do = "give --axes to read it as one of T, C, Z, Y and X" if "C" in stack else LABELS
        raise InputError(f"there is no axis {strange[0]!r} here", raster.path, do)
    named = raster.axes.replace("S", "C").replace("L", "C" if "C" in stack else "L")
    letters = [named[i] if i in real else DROPPED for i in range(len(shape))]
    unknown = [i for i in real if letters[i] == "?"]
    if unknown and not {"Y", "X"} & set(letters):
        for i, letter in zip(unknown, _plane([shape[i] for i in unknown]), strict=True):
            letters[i] = letter
    seen = set(letters) - {DROPPED}
    if not {"Y", "X"} <= seen or letters.count("C") > 1 or not seen <= {*"TCZYX?", *stack}:
        raise _unclear(raster, stack)
    if "C" not in stack and "C" in seen:
        raise _no_layers(raster, letters)
    rest = [i for i in unknown if letters[i] == "?"]
    for i, letter in zip(rest, _guess([shape[i] for i in rest], letters, stack, raster) if rest else "", strict=True):
        letters[i] = letter
    if unknown and len(real) > 2:
        read_as = "".join(letters).replace(DROPPED, "")
        sizes = [shape[i] for i in real]
        notes.append(assumed(read_as, sizes) if "C" in stack else assumed(read_as, sizes, ""))
    return "".join(letters), tuple(notes)


def _no_layers(raster: Raster, letters: Sequence[str]) -> InputError:
    """Channels of labels are different things, such as cells and nuclei, whose ids may be equal."""
    if "S" in raster.axes:
        return no_colours(raster.path)
    count = raster.source.shape[list(letters).index("C")]
    return InputError(
        f"this label file has {count} channels, and it does not say that they are layers of one label image",
        raster.path,
        "split it; layers have the axes LYX, or channels called layer-0, layer-1 …",
    )


def no_colours(path: Path) -> InputError:
    """Of a picture where labels are wanted."""
    do = "save labels, one number for each object, in one channel"
    return InputError("a label image has no colours, but this file has", path, do)


def _plane(sizes: Sequence[int]) -> str:
    """Where the plane is in axes that have no name: the last two, or before a last axis of few channels."""
    if len(sizes) > 2 and sizes[-1] < FEW <= min(sizes[-3:-1]):
        return "?" * (len(sizes) - 3) + "YXC"
    return "?" * (len(sizes) - 2) + "YX"[-len(sizes) :]


def _guess(sizes: list[int], letters: Sequence[str], stack: str, raster: Raster) -> str:
    """Letters for axes before YX that the file does not name: few entries are channels, many are slices."""
    free = [c for c in ("C", "Z") if c not in letters]
    match sizes:
        case [_] if "C" not in stack and "Z" in free:
            return "Z"
        case [_] if "C" in stack and len(free) == 1:
            return free[0]
        case [n] if "C" in stack and free:
            return "C" if n <= 4 else "Z"
        case [a, b] if "C" in stack and len(free) == 2 and min(a, b) <= 4:
            return "CZ" if a <= 4 else "ZC"
    raise _unclear(raster, stack)


def _unclear(raster: Raster, stack: str) -> InputError:
    has = "" if "?" in raster.axes or not raster.axes else f" and axes {raster.axes}"
    do = "give --axes" if "C" in stack else LABELS
    return InputError(f"cannot tell the axes of an array of shape {raster.source.shape}{has}", raster.path, do)


def arrange(
    path: Path, source: Any, letters: str, order: str, channels: tuple[int, ...] | None = None, frame: int = 0
) -> Any:
    """The array with the axes of `order`, whose first may be missing in `letters`; of it only these `channels`, if any
    are named, and of an axis of time that `order` lacks only this frame.

    An array in memory or mapped into it stays one (no copy), any other stays lazy.
    """
    lazy = Arranged(path, source, letters, order, channels, frame)
    whole = (slice(None),) * len(order)
    return lazy[whole] if isinstance(source, np.ndarray) and source.dtype.isnative else lazy


@dataclass(frozen=True, eq=False)
class Arranged:
    """A lazy array in another order of axes; decoding errors become `InputError`."""

    path: Path
    source: Any
    letters: str
    order: str
    channels: tuple[int, ...] | None = None
    frame: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.source.dtype)
        return dtype.newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = {c: int(n) for c, n in zip(self.letters, self.source.shape, strict=True)}
        first = len(self.channels) if self.channels else sizes.get(self.order[0], 1)
        return (first, *(sizes[c] for c in self.order[1:]))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        wanted = {c: slice(*k.indices(n)) for c, k, n in zip(self.order, key, self.shape, strict=True)}
        stored = {DROPPED: 0, "T": self.frame, **wanted}
        picked = [self.channels[i] for i in range(*key[0].indices(len(self.channels)))] if self.channels else []
        if picked:
            stored[self.order[0]] = slice(min(picked), max(picked) + 1)
        size = nbytes(tuple(len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True)), self.dtype)
        with decoding(self.path, size):
            voxels = np.asarray(self.source[tuple(stored[c] for c in self.letters)])
        if voxels.dtype != self.dtype:
            voxels = voxels.astype(self.dtype)
        kept = [c for c in self.letters if isinstance(stored[c], slice)]
        voxels = voxels.transpose([kept.index(c) for c in self.order if c in kept])
        if picked and len(picked) < len(voxels):
            voxels = voxels[[c - min(picked) for c in picked]]
        return voxels if self.order[0] in kept else voxels[None][wanted[self.order[0]]]
