"""CUDA kernels: sources that lie beside the module that launches them, compiled once for each device.

    kernels.load(Path(__file__).with_name("blur.cu")).launch("blur", blocks, threads, image, width, out)

Out of GPU memory, work is cut into smaller pieces; what cannot be cut any more raises `OutOfMemory`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolkit.errors import OutOfMemory
from toolkit.gpu.backend import Backend

OPTIONS = ("-std=c++17", "--fmad=false")
"""How kernels are compiled. Products are rounded before they are added, as on the CPU: both give the same numbers."""
ADVICE = "use smaller blocks (--block) or --device cpu"

_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)
_ONCE = re.compile(r"^#pragma once$", re.MULTILINE)
T = TypeVar("T")


class Module:
    """The kernels of one source."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def launch(self, name: str, blocks: int | tuple[int, ...], threads: int, *arguments: Any) -> None:
        """Queue kernel `name` on the current device.

        `arguments`: arrays on the device; Python's bool, int and float are C's bool, int and double; NumPy scalars keep
        their type (`np.int64` is long long). Nothing is launched where there are no blocks.
        """
        grid = blocks if isinstance(blocks, tuple) else (blocks,)
        if all(grid):
            self._compiled.get_function(name)(grid, (threads,), tuple(map(_typed, arguments)))


@lru_cache
def load(path: Path) -> Module:
    """The kernels of the source at `path`, compiled for the current device when they are first launched."""
    return Module(import_module("cupy").RawModule(code=source(path), options=OPTIONS))


def source(path: Path) -> str:
    """The text at `path`, with what it includes in place: compilers' caches know a source by its text alone."""
    text = path.read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: _ONCE.sub("", source(path.with_name(found[1]))), text)


@contextmanager
def on(backend: Backend) -> Iterator[None]:
    """Make the device of `backend` the current one, and running out of its memory an `OutOfMemory`."""
    if not backend.on_gpu:
        yield
        return
    with backend.xp.cuda.Device(int(backend.device.partition(":")[2] or 0)):
        try:
            yield
        except MemoryError as error:
            raise OutOfMemory("the memory of the GPU does not suffice for a block", backend.device, ADVICE) from error


def in_parts(work: Callable[[T], None], pieces: Sequence[T], halve: Callable[[T], Sequence[T]]) -> None:
    """`work` on each piece, or on its halves where it does not fit in GPU memory, and so on.

    `work` allocates before it changes anything that outlives it. `halve` gives one piece back if it cannot be cut.
    """
    left = list(reversed(pieces))
    while left:
        piece = left.pop()
        if not _fits(work, piece):
            halves = halve(piece)
            if len(halves) < 2:
                raise OutOfMemory("the memory of the GPU does not suffice for the smallest piece of work", "", ADVICE)
            left += reversed(halves)


def _fits(work: Callable[[T], None], piece: T) -> bool:
    try:
        work(piece)
    except MemoryError:
        return False
    return True


def _typed(argument: Any) -> Any:
    """Numbers with the size that the kernel expects; `OverflowError` if they do not fit it."""
    if isinstance(argument, bool):
        return np.bool_(argument)
    if isinstance(argument, int):
        return np.int32(argument)
    return np.float64(argument) if type(argument) is float else argument
