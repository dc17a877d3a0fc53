"""Letters for axes that somebody named in words."""

from __future__ import annotations

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
