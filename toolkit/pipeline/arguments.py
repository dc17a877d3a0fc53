"""What Python is called with: whatever a person may write there is taken as it is meant, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from toolkit.errors import UsageError


def channels_of(given: Any) -> list[int | str]:
    """Channels by name, or by number from 0; one or several. None stands for none."""
    if given is None:
        return []
    return [_channel(one) for one in (given if _several(given) else [given])]


def _channel(one: Any) -> int | str:
    if isinstance(one, str):
        return str(one)
    if isinstance(one, Integral) and not isinstance(one, bool):
        return int(one)
    what = "a channel is a whole number, counted from 0, or a name"
    raise UsageError(what, f"channel={one!r}", 'such as channel=0 or channel="DAPI"')


def _several(given: Any) -> bool:
    """Whether this is a row of things; an array without axes is none."""
    return isinstance(given, Iterable) and not isinstance(given, str | bytes) and getattr(given, "shape", None) != ()


def axes_of(given: Any) -> str | None:
    """One letter per axis, in one text or one after the other."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, list | tuple) and all(isinstance(one, str) and len(one) == 1 for one in given):
        return "".join(given)
    raise UsageError("axes are a text with one letter per axis", f"axes={given!r}", 'such as axes="YXC"')


def size_of(given: Any) -> tuple[float, ...] | None:
    """Micrometres per axis of space. One number alone is refused: slices are rarely as far apart as pixels."""
    if given is None:
        return None
    numbers = list(given) if _several(given) else []
    if not numbers or not all(isinstance(one, Real) and not isinstance(one, bool) for one in numbers):
        do = "such as voxel_size=(0.5, 0.5), or (2, 0.5, 0.5) of a volume"
        raise UsageError("a voxel size is one number per axis, (Z)YX in micrometres", f"voxel_size={given!r}", do)
    return tuple(map(float, numbers))
