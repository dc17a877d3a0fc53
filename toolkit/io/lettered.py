"""Letters for axes that somebody named in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.io.raster import by_shape

NAMES = {
    "t": "T", "time": "T", "frame": "T", "c": "C", "ch": "C", "channel": "C", "channels": "C", "band": "C",
    "z": "Z", "depth": "Z", "plane": "Z", "slice": "Z", "y": "Y", "row": "Y", "height": "Y",
    "x": "X", "col": "X", "column": "X", "width": "X",
}  # fmt: skip
"""Axis letters of names, lower case."""


def lettered(named: list[tuple[str, str]]) -> tuple[str, dict[int, str]]:
    """Letters of axes with a name and a type each; `?` for one without, `!` for one that has no letter."""
    letters, strange = "", dict[int, str]()
    for i, (name, kind) in enumerate(named):
        letter = {"channel": "C", "time": "T"}.get(kind, NAMES.get(name.lower(), "!"))
        anonymous = not name or name.lower().startswith(("dim_", "axis_", "axis-", "dim-"))
        letter = "?" if anonymous and kind in ("", "space") else letter
        if letter in letters and letter != "?":
            letter = "!"
        letters += letter
        if letter == "!":
            strange[i] = name or kind
    return letters, strange


def axes_of(
    names: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[str, dict[int, str], tuple[str, ...]]:
    """Like `lettered`, of an array whose axes may have names; where none has one, as far as the shape is sure, and then
    with a note."""
    if len(names) == len(shape):
        letters, strange = lettered([(str(name or ""), "") for name in names])
        if letters.strip("?"):
            return letters, strange, ()
    letters = by_shape(shape, dtype)
    real = [i for i in range(len(shape)) if shape[i] > 1 or letters[i] != "?"]
    sure = all(letters[i] != "?" for i in real)
    return letters, {}, (assumed("YXC", [shape[i] for i in real]),) if sure and "S" in letters else ()


def assumed(letters: str, shape: Sequence[int], do: str = "; give --axes if that is wrong") -> str:
    """The note about axes that nobody named."""
    return f"axes read as {letters} from the shape {'×'.join(map(str, shape))}{do}"
