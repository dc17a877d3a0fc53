"""Compile a function to machine code: cached on disk, without the interpreter's lock, one signature per use."""
# ruff: noqa: TID253
# Imported by modules that only a worker imports.

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """`function`, compiled. Divisions by zero give infinities as in NumPy, so that loops with divisions vectorise.

    Where no folder can be written, as in a container that is read-only, it is compiled anew by each process.
    """
    try:
        return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # no place for the cache
        return cast("F", numba.njit(nogil=True, error_model="numpy")(function))
