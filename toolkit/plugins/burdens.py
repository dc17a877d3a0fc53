"""What a plugin imports when it is loaded, and how long everybody waits for that."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

NOTABLE = 0.2
"""Seconds that an import must take to be worth a word."""
THERE = ("toolkit", "numpy", "pydantic")
"""What is imported in any case."""


@contextmanager
def burdens(module: str) -> Iterator[dict[str, float]]:
    """The packages that modules of the package `module` import in this context, and the seconds that each takes."""
    found: dict[str, float] = {}
    real, root = builtins.__import__, module.partition(".")[0]

    def timed(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  (so they are called)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        top = name.partition(".")[0]
        asks = str((globals or {}).get("__name__", "")).partition(".")[0]
        if asks != root or level or top in (root, *THERE):
            return real(name, globals, locals, fromlist or (), level)
        began = time.perf_counter()
        try:
            return real(name, globals, locals, fromlist or (), level)
        finally:
            found[top] = found.get(top, 0) + time.perf_counter() - began

    builtins.__import__ = timed
    try:
        yield found
    finally:
        builtins.__import__ = real


def told(found: Mapping[str, float]) -> str:
    """A sentence about those that take long; nothing where there is none."""
    slow = sorted((name for name in found if found[name] >= NOTABLE), key=lambda name: -found[name])
    if not slow:
        return ""
    named = ", ".join(f"{name} ({found[name]:.1f} s)" for name in slow)
    return f"it imports {named} when it is loaded: import inside the functions that need it"
