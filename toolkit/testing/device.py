"""A GPU that is not there, to test CUDA kernels without one: CuPy's place taken by NumPy and, for kernels, by `shim.h`.

    with device(seed=1) as gpu:
        assert method.assemble(prediction(heads, backend=gpu), gpu) == method.assemble(prediction(heads), Backend())

The same CUDA source is compiled with g++, and its threads run one after the other in the order of a seed. Arrays mix as
little with NumPy's as CuPy's do; of CuPy's functions there are those in `FUNCTIONS`.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu import kernels
from toolkit.gpu.backend import Backend

HERE = Path(__file__).parent
FUNCTIONS = ("arange", "ascontiguousarray", "asarray", "empty", "flatnonzero", "full", "nonzero", "searchsorted",
             "stack", "zeros")  # fmt: skip
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unknown-pragmas",
         "-Wl,-Bsymbolic")  # fmt: skip
DEFINITION = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(')


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class Array(np.ndarray[Any, Any]):
    """An array on the device."""

    def get(self) -> NDArray[Any]:
        return np.array(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        if out is not None:
            named["out"] = tuple(_plain(a) for a in out)
        return _wrapped(getattr(ufunc, method)(*map(_plain, inputs), **named))

    def __array_function__(self, function: Any, types: Any, arguments: Any, named: Any) -> Any:
        raise TypeError(f"{function.__name__} of NumPy was given an array on the device")

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(self.view(np.ndarray)[_plain(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.view(np.ndarray)[_plain(index)] = _plain(value)


class RawModule:
    """Kernels that run on the CPU."""

    def __init__(self, code: str, options: tuple[str, ...], seed: int = 0) -> None:
        self.library, self.seed = _compiled(code), seed

    def get_function(self, name: str) -> Any:
        function = getattr(self.library, f"launch_{name}")
        function.restype = ctypes.c_char_p

        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            for a in arguments:
                assert isinstance(a, np.generic) or (type(a) is Array and a.flags.c_contiguous), f"{type(a)} in {name}"
            held = [np.array(a.ctypes.data if isinstance(a, Array) else a) for a in arguments]
            types = "".join(map(_word, arguments))
            places = (ctypes.c_void_p * len(held))(*(h.ctypes.data for h in held))
            failure = function((ctypes.c_uint * 3)(*grid, *[1] * (3 - len(grid))), *block, types.encode(), places,
                               self.seed)  # fmt: skip
            if failure:
                raise RuntimeError(f"{name}: {failure.decode()}")

        return launch


@contextmanager
def device(seed: int = 0, limit: int | None = None) -> Iterator[Backend]:
    """The backend of a device whose threads run in the order `seed` (0: ascending) and that has no array of more than
    `limit` bytes."""
    if shutil.which("g++") is None:
        raise SkipTest("kernels run on the CPU only where g++ is installed")
    names = {name: _function(name, limit) for name in FUNCTIONS}
    module = SimpleNamespace(
        RawModule=lambda code, options: RawModule(code, options, seed),
        cuda=SimpleNamespace(Device=lambda _: nullcontext()),
        **names,
    )
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module  # type: ignore[assignment]
    kernels.load.cache_clear()
    try:
        yield Backend("cuda:0")
    finally:
        kernels.load.cache_clear()
        del sys.modules["cupy"]
        if before is not None:
            sys.modules["cupy"] = before


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where compiled kernels lie until the process ends."""
    return tempfile.TemporaryDirectory()


@cache
def _compiled(code: str) -> ctypes.CDLL:
    folder = Path(_folder().name)
    stem = folder / f"kernels{len(list(folder.iterdir()))}"
    text = "\n".join(['#include "shim.h"', code, *(f"KERNEL({name})" for name in DEFINITION.findall(code))])
    stem.with_suffix(".cpp").write_text(text)
    subprocess.run(["g++", *FLAGS, f"-I{HERE}", "-o", f"{stem}.so", f"{stem}.cpp"], check=True)
    return ctypes.CDLL(f"{stem}.so")


def _function(name: str, limit: int | None) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        if name == "asarray":
            return _wrapped(np.asarray(*arguments, **named))
        result = getattr(np, name)(*map(_plain, arguments), **named)
        parts = result if isinstance(result, tuple) else (result,)
        if limit is not None and sum(part.nbytes for part in parts) > limit:
            raise OutOfMemoryError
        return tuple(map(_wrapped, parts)) if parts is result else _wrapped(result)

    return call


def _word(argument: Any) -> str:
    """The type of an argument as `shim.h` writes it."""
    kind = "f" if argument.dtype.kind == "f" else "i"
    return f"{'p' if isinstance(argument, Array) else ''}{kind}{argument.dtype.itemsize} "


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_plain(v) for v in value)
    if type(value) is np.ndarray:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value.view(np.ndarray) if isinstance(value, Array) else value


def _wrapped(value: Any) -> Any:
    return np.asarray(value).view(Array)
