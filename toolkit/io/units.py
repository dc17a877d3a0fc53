"""Lengths in the units that microscopes, ImageJ and OME write, as micrometres."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from html import unescape
from math import isfinite

LEAST, MOST = 1e-6, 1e6
"""Micrometres that a voxel may have: a picometre to a metre."""
PRINTED, MACRO = 20.0, 1000.0
"""Pixels of as many micrometres, told in inches or centimetres, are meant for paper: 72 dpi are 353 µm, 1200 dpi are
21 µm. Told in other units they may be those of an atlas of a brain, but not a millimetre."""
_POWERS = {"pico": -6, "nano": -3, "micro": 0, "milli": 3, "centi": 4, "deci": 5, "": 6, "kilo": 9}
MICROMETRES = {
    **{f"{prefix}{metre}": 10.0**power for prefix, power in _POWERS.items() for metre in ("meter", "metre")},
    "pm": 1e-6, "nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6, "km": 1e9,
    "micron": 1.0, "angstrom": 1e-4, "å": 1e-4, "inch": 25400.0, "in": 25400.0, "thou": 25.4,
}  # fmt: skip
"""Length units of OME-XML, ImageJ and OME-Zarr, lower case, `µ` as `u`, singular."""


def micrometres(value: object, unit: object) -> float | None:
    """A length in micrometres; None if no voxel has it. The sign does not count: ImageJ writes distances of
    slices below 0 for stacks from the bottom to the top."""
    factor = MICROMETRES.get(_plain(str(unit)))
    try:
        number = abs(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    size = number * factor if factor is not None and isfinite(number) else 0.0
    return size if LEAST <= size <= MOST else None


def sizes(values: Mapping[str, object], units: Mapping[str, str]) -> dict[str, float]:
    """Voxel sizes in micrometres from numbers and units per axis; what is no length is left out."""
    found = {letter: micrometres(value, units.get(letter, "")) for letter, value in values.items()}
    return {letter: size for letter, size in found.items() if size is not None}


def seen(found: Mapping[str, float], printed: bool = False) -> dict[str, float]:
    """The voxel size in micrometres by axis that a TIFF tells, in units of print or others; nothing, if no instrument
    has such pixels."""
    most = PRINTED if printed else MACRO
    return {} if max(found.get("X", 0.0), found.get("Y", 0.0)) >= most else dict(found)


def _plain(unit: str) -> str:
    """One spelling: `&#181;m`, `\\u00B5m`, `µm` (two characters look so) and `um` are one unit."""
    text = unicodedata.normalize("NFKC", unescape(unit).strip()).replace("\\u00B5", "u").replace("\\u00b5", "u")
    if text == "Mm":  # a megametre, no millimetre
        return ""
    text = text.lower().replace("\u03bc", "u")
    return text if text in MICROMETRES else text.removesuffix("s")
