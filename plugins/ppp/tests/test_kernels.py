"""Every CUDA source compiles for the GPUs we name, by nvcc and by NVRTC, within its registers."""

import ctypes
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from toolkit_ppp.patches import KERNELS, THREADS

from toolkit.api import kernels

SOURCES = sorted(path.name for path in KERNELS.glob("*.cu"))
REGISTERS = 65536 // THREADS // 8
"""Of a thread, if a multiprocessor is to hold eight blocks."""


def nvcc(name: str, architecture: str, folder: Path) -> tuple[str, str]:
    """What the assembler says, and the code before it assembles."""
    path = folder / name
    path.write_text(kernels.source(KERNELS / name))
    flags = [f"-arch={architecture}", *kernels.OPTIONS, "-Xptxas", "-v", "--keep", f"--keep-dir={folder}"]
    report = subprocess.run(
        ["nvcc", "-cubin", *flags, "-o", folder / "out.cubin", path], check=True, capture_output=True, text=True
    )
    return report.stdout + report.stderr, path.with_suffix(".ptx").read_text()


def nvrtc(name: str, architecture: str, folder: Path) -> tuple[str, str]:
    """The same by the compiler that CuPy uses."""
    library, program, size = _nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    options = [f"--gpu-architecture={architecture}", *kernels.OPTIONS, "--ptxas-options=-v"]
    text = kernels.source(KERNELS / name).encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text, name.encode(), 0, None, None) == 0
    status = library.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    )

    def get(what: str) -> str:
        assert library[f"nvrtcGet{what}Size"](program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert library[f"nvrtcGet{what}"](program, buffer) == 0
        return buffer.value.decode()

    assert status == 0, get("ProgramLog")
    return get("ProgramLog"), get("PTX")


@cache
def _nvrtc() -> ctypes.CDLL:
    found = find_spec("nvidia")
    places = [Path(p) for p in found.submodule_search_locations] if found else []
    libraries = [lib for place in places for lib in place.glob("*/lib/libnvrtc*.so*") if ".alt." not in lib.name]
    assert libraries, "NVRTC is not installed (pip install nvidia-cuda-nvrtc)"
    # The compiler looks for its built-in functions by name: they must be there before it.
    return [ctypes.CDLL(str(lib)) for lib in sorted(libraries, key=lambda lib: "builtins" not in lib.name)][-1]


# NVRTC comes with the tools of `make venv`, nvcc with a CUDA toolkit that a machine may have.
COMPILERS = [nvrtc, nvcc] if shutil.which("nvcc") else [nvrtc]


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", SOURCES)
def test_kernels_compile_and_keep_to_their_registers(name, architecture, compiler, tmp_path) -> None:
    report, code = compiler(name, architecture, tmp_path)
    entries = re.findall(r"Compiling entry function '(\w+)' for '(\w+)'", report)
    assert sorted(n for n, _ in entries) == sorted(re.findall(r"\.entry (\w+)\(", code))
    assert {a for _, a in entries} == {architecture}
    assert re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", report) == [
        ("0", "0", "0")
    ] * len(entries)
    assert max(int(n) for n in re.findall(r"Used (\d+) registers", report)) <= REGISTERS


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.parametrize("compiler", COMPILERS)
def test_products_are_rounded_before_they_are_added(compiler, tmp_path) -> None:
    _, code = compiler("consensus.cu", "sm_90", tmp_path)
    assert "div.rn.f64" in code
    assert "fma.rn.f64" not in code


def test_every_source_is_launched() -> None:
    text = "".join(path.read_text() for path in KERNELS.parent.glob("*.py"))
    assert sorted(set(re.findall(r'KERNELS / "(\w+\.cu)"', text))) == SOURCES
