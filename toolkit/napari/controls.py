"""A control for each field of a post-processor that can be tuned: what it is, from where to where."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any

from toolkit.plugins.search import Search
from toolkit.plugins.specs import PostProcessor

STEPS = 100
"""Positions of a slider for fractions."""


@dataclass(frozen=True)
class Control:
    """`kind` is the widget as magicgui calls it, `options` what it takes."""

    field: str
    kind: str
    value: Any
    options: dict[str, Any]


def controls(postprocess: PostProcessor) -> list[Control]:
    """The controls of a post-processor, in the order of its fields, at its values."""
    return [_control(name, how, getattr(postprocess, name)) for name, how in type(postprocess).tunable().items()]


def _control(name: str, how: Search, value: Any) -> Control:
    if how.choices:
        return Control(name, "ComboBox", value, {"choices": list(how.choices)})
    # A recipe may lie outside of what is searched, or say nothing.
    value = how.low if value is None else value
    low, high = min(how.low, value), max(how.high, value)
    if isinstance(value, int) and float(low).is_integer() and float(high).is_integer():
        return Control(name, "Slider", value, {"min": int(low), "max": int(high), "step": int(how.step or 1)})
    if how.log and low > 0:
        return Control(name, "LogSlider", value, {"min": low, "max": high})
    step = how.step or 10 ** round(log10((high - low) / STEPS))
    return Control(name, "FloatSlider", value, {"min": low, "max": high, "step": step})
