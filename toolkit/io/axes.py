"""Name the axes of a file and bring its array into the toolkit's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, UsageError
from toolkit.io.raster import Raster, decoding, nbytes

DROPPED = "1"
"""Stands for an axis of one entry that is left out."""


def named(raster: Raster, given: str | None, stack: str) -> tuple[str, tuple[str, ...]]:
    """One letter per axis of the file's array, `1` where an axis is dropped, and notes about what was assumed.

    `stack` is the letter of the axis before space: "C" for images, "L" (layers) or "Q" (one plane per object) for label
    images. `given` letters count by position and may name that axis even if the file lacks it.
    """
    letters = _from_argument(raster, given) if given else None
    return (letters, ()) if letters else _from_file(raster, stack)


def checked(axes: str, stack: str) -> str:
    """Axes as the user wrote them, upper case, samples as channels; `UsageError` if they make no sense."""
    axes = axes.strip().upper().replace("S", "C") if stack == "C" else axes.strip().upper()
    if len(set(axes)) < len(axes) or not set("YX") <= set(axes) <= {*"TZYX", *stack}:
        allowed = ", ".join(f"{c}ZYX" for c in stack)
        raise UsageError("these axes make no sense", repr(axes), f"name each axis once, such as YX, ZYX or {allowed}")
    return axes


def _from_argument(raster: Raster, given: str) -> str:
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
        return _without_time(raster, "".join(letters))
    has = "" if "?" in raster.axes else f" ({raster.axes})"
    raise InputError(f"the axes {given} do not fit the shape {shape}{has}", raster.path, "give --axes that fit")


def _from_file(raster: Raster, stack: str) -> tuple[str, tuple[str, ...]]:
    shape, notes = raster.source.shape, list(raster.notes)
    if "T" in raster.axes and shape[raster.axes.index("T")] == 1:
        notes.append("the time axis has one entry and was dropped")
    real = [i for i in range(len(shape)) if shape[i] > 1 or raster.axes[i] in "YX"]
    seen = {raster.axes[i] for i in real}
    if not {"Y", "X"} <= seen or {"C", "S"} <= seen or not set(seen) <= {*"TCSZYX?", *stack}:
        raise _unclear(raster)
    if "S" in seen and "C" not in stack:
        raise InputError("a label image has no colours, but this file has", raster.path, "give a label image")
    letters = [DROPPED] * len(shape)
    for i in real:
        letters[i] = raster.axes[i].replace("S", "C")
    if "C" not in stack:
        letters = ["L" if letter == "C" else letter for letter in letters]
    unknown = [i for i in real if letters[i] == "?"]
    if unknown:
        for i, letter in zip(unknown, _guess([shape[i] for i in unknown], letters, stack, raster), strict=True):
            letters[i] = letter
        read_as = "".join(letters).replace(DROPPED, "")
        seen_shape = "×".join(str(shape[i]) for i in real)
        notes.append(f"axes read as {read_as} from the shape {seen_shape}; give --axes if that is wrong")
    return _without_time(raster, "".join(letters)), tuple(notes)


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
    raise _unclear(raster)


def _without_time(raster: Raster, letters: str) -> str:
    if "T" in letters:
        n = raster.source.shape[letters.index("T")]
        if n > 1:
            raise InputError(
                f"this is a time series of {n} images", raster.path, "split it, or give --axes if T is another axis"
            )
    return letters.replace("T", DROPPED)


def _unclear(raster: Raster) -> InputError:
    has = "" if "?" in raster.axes else f" and axes {raster.axes}"
    return InputError(
        f"cannot tell the axes of an array of shape {raster.source.shape}{has}", raster.path, "give --axes"
    )


def arrange(path: Path, source: Any, letters: str, order: str, channels: int | None = None) -> Any:
    """The array with the axes of `order`, whose first may be missing in `letters`; at most the first `channels` of it.

    An array in memory or mapped into it stays one (no copy), any other stays lazy.
    """
    lazy = Arranged(path, source, letters, order, channels)
    whole = (slice(None),) * len(order)
    return lazy[whole] if isinstance(source, np.ndarray) and source.dtype.isnative else lazy


@dataclass(frozen=True, eq=False)
class Arranged:
    """A lazy array in another order of axes; decoding errors become `InputError`."""

    path: Path
    source: Any
    letters: str
    order: str
    channels: int | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.source.dtype)
        return dtype.newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = {c: int(n) for c, n in zip(self.letters, self.source.shape, strict=True)}
        first = min(sizes.get(self.order[0], 1), self.channels or sizes.get(self.order[0], 1))
        return (first, *(sizes[c] for c in self.order[1:]))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        picked = {c: slice(*k.indices(n)) for c, k, n in zip(self.order, key, self.shape, strict=True)}
        index = tuple(0 if c == DROPPED else picked[c] for c in self.letters)
        picked_shape = tuple(len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True))
        with decoding(self.path, nbytes(picked_shape, self.dtype)):
            voxels = np.asarray(self.source[index])
        if voxels.dtype != self.dtype:
            voxels = voxels.astype(self.dtype)
        kept = self.letters.replace(DROPPED, "")
        voxels = voxels.transpose([kept.index(c) for c in self.order if c in kept])
        return voxels if self.order[0] in kept else voxels[None][picked[self.order[0]]]
