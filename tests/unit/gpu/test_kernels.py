import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.errors import OutOfMemory
from toolkit.gpu import kernels
from toolkit.gpu.backend import Backend


class Compiled:
    """Notes launches."""

    def __init__(self) -> None:
        self.launches: list[tuple[Any, ...]] = []

    def get_function(self, name: str) -> Any:
        return lambda grid, block, arguments: self.launches.append((name, grid, block, arguments))


def test_numbers_have_the_sizes_that_kernels_expect() -> None:
    compiled, array = Compiled(), np.zeros(3, np.uint16)
    kernels.Module(compiled).launch("blur", 7, 32, array, 3, 0.5, True, np.int64(4))
    ((name, grid, block, arguments),) = compiled.launches
    assert (name, grid, block) == ("blur", (7,), (32,))
    assert arguments[0] is array
    assert [a.dtype for a in arguments[1:]] == [np.int32, np.float64, np.bool_, np.int64]
    assert [a.item() for a in arguments[1:]] == [3, 0.5, True, 4]


def test_a_number_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(OverflowError):
        kernels.Module(Compiled()).launch("blur", 1, 32, 2**31)


def test_nothing_is_launched_without_blocks() -> None:
    compiled = Compiled()
    kernels.Module(compiled).launch("blur", 0, 32)
    kernels.Module(compiled).launch("blur", (3, 0), 32)
    assert compiled.launches == []


def test_a_source_has_what_it_includes_in_place(tmp_path: Path) -> None:
    (tmp_path / "inner.cuh").write_text("#pragma once\nint inner;\n")
    (tmp_path / "outer.cuh").write_text('#include "inner.cuh"\nint outer;\n')
    (tmp_path / "blur.cu").write_text('// A comment.\n#include "outer.cuh"\nint blur;\n')
    text = kernels.source(tmp_path / "blur.cu")
    assert [line for line in text.splitlines() if line] == ["// A comment.", "int inner;", "int outer;", "int blur;"]


def test_work_that_does_not_fit_is_halved_until_it_does() -> None:
    done: list[range] = []

    def work(piece: range) -> None:
        if len(piece) > 3:
            raise MemoryError
        done.append(piece)

    def halve(piece: range) -> list[range]:
        return [piece[: len(piece) // 2], piece[len(piece) // 2 :]]

    kernels.in_parts(work, [range(10), range(10, 13), range(13, 20)], halve)
    assert [n for piece in done for n in piece] == list(range(20))
    assert len(done) > 3


def test_work_that_never_fits_is_a_sentence() -> None:
    def work(piece: int) -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory, match=r"smallest piece of work; use smaller blocks \(--block\) or --device cpu"):
        kernels.in_parts(work, [4], lambda piece: [piece])


def test_other_failures_of_work_are_not_hidden() -> None:
    def work(piece: int) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        kernels.in_parts(work, [4], lambda piece: [piece, piece])


@pytest.mark.parametrize(("device", "number"), [("cuda:3", 3), ("cuda", 0)])
def test_the_device_of_the_backend_is_the_current_one(device, number, monkeypatch) -> None:
    entered: list[Any] = []

    class Device:
        def __init__(self, index: int) -> None:
            self.index = index

        def __enter__(self) -> None:
            entered.append(self.index)

        def __exit__(self, *error: object) -> None:
            entered.append(None)

    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(Device=Device)))
    with kernels.on(Backend(device)):
        assert entered == [number]
    assert entered == [number, None]
    sentence = f"the memory of the GPU does not suffice for a block: {device}"
    with pytest.raises(OutOfMemory, match=sentence), kernels.on(Backend(device)):
        raise MemoryError


def test_the_cpu_has_no_current_device() -> None:
    with pytest.raises(MemoryError), kernels.on(Backend()):
        raise MemoryError
