"""Compile a function to machine code: cached on disk, without the interpreter's lock."""

# ruff: noqa: TID253
# Imported only by modules that a running assembly imports.

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """`function`, compiled for the types of its first call."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))
