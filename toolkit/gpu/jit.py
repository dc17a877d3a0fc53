"""Compile a function to machine code: cached on disk, without the interpreter's lock, one signature per use."""
# ruff: noqa: TID253
# Imported by modules that only a worker imports.

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """`function`, compiled. Divisions by zero give infinities as in NumPy, so that loops with divisions vectorise.

    What was compiled is good for the sources of the whole package: a function has the code of those that it calls in
    it, from whatever file, and the library looks at the function's own file alone. Where no folder can be written, as
    in a container that is read-only, each process compiles anew.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # there is no place for the cache
        compiled._cache = _Cache(function)
    return cast("F", compiled)


class _Cache(FunctionCache):
    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        package = sys.modules[function.__module__.partition(".")[0]]
        stamp = (self._impl.locator.get_source_stamp(), sources(Path(str(package.__file__)).parent))
        files = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)  # type: ignore[no-untyped-call]
        self._cache_file = files


@cache
def sources(folder: Path) -> str:
    """sha256 of all Python files of a package."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()} {len(data)} ".encode() + data)
    return found.hexdigest()
