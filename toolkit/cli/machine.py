"""What this machine has, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from toolkit.errors import StorageError

GIB = 2**30
LITTLE_MEMORY, LITTLE_DISK = 4 * GIB, 2 * GIB
DRIVER = Path("/proc/driver/nvidia/version")
CONTROL_GROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Finding:
    """Something about the machine; `fix` says what to do, or is empty."""

    what: str
    value: str
    fix: str = ""


def findings() -> Iterator[Finding]:
    """Everything there is to say about the machine."""
    from toolkit.registry.store import usual_home

    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _torch()
    yield _memory()
    for name, path in {"home": usual_home(), "working folder": Path.cwd()}.items():
        yield _disk(name, path)
    yield _models()
    yield _compiled()


def _models() -> Finding:
    """How many models are installed, or what is wrong with the registry."""
    from toolkit.registry.store import Store

    try:
        return Finding("installed models", str(len(Store().entries())))
    except StorageError as error:
        return Finding("installed models", f"{error.what}: {error.where}", error.do)


def _compiled() -> Finding:
    """Whether compiled functions can be kept: beside the program, in the user's cache or where NUMBA_CACHE_DIR says."""
    own = Path(__file__).parent
    places = [own, Path.home() / ".cache" / "numba"]
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        places = [Path(told)]
    for place in places:
        if os.access(next(p for p in (place, *place.parents) if p.exists()), os.W_OK):
            return Finding("compiled code", f"kept in {place}" if place != own else "kept beside the program")
    return Finding("compiled code", "made anew by each process, which takes seconds", "set NUMBA_CACHE_DIR to a folder")


def _torch() -> Iterator[Finding]:
    """torch, the driver, the GPUs and CuPy."""
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        yield Finding("torch", f"cannot be imported ({error})", "install it again: pip install torch")
        return
    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    driver = DRIVER.is_file() or shutil.which("nvidia-smi") is not None
    if not torch.cuda.is_available():
        fix = "install a torch built for CUDA, see pytorch.org" if driver and torch.version.cuda is None else ""
        fix = "update the NVIDIA driver" if driver and torch.version.cuda else fix
        yield Finding(
            "GPU", "there is a driver but torch sees no GPU" if driver else "none, the CPU does the work", fix
        )
        return
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        yield Finding(f"cuda:{index}", f"{about.name}, {about.total_memory / GIB:.0f} GiB, CUDA {torch.version.cuda}")
    yield _cupy()


def _cupy() -> Finding:
    if find_spec("cupy") is None:
        return Finding("CuPy", "not installed", "pip install cupy-cuda13x (without it the GPU is not used)")
    try:
        cupy = import_module("cupy")
        cupy.zeros(1).sum().get()
    # CuPy finds its CUDA libraries when it is used, and has no one class for what may be missing then.
    except Exception as error:
        return Finding("CuPy", f"does not work ({' '.join(str(error).split())[:120]})", "install the CuPy of your CUDA")
    return Finding("CuPy", str(cupy.__version__))


def _memory() -> Finding:
    total, free = _bytes("SC_PHYS_PAGES"), _bytes("SC_AVPHYS_PAGES")
    if total is None or free is None:
        return Finding("memory", "unknown")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    if CONTROL_GROUP.is_file() and (limit := CONTROL_GROUP.read_text().strip()).isdigit():
        total = min(total, int(limit))
        free = min(free, total)
    fix = "close other programs or use small blocks (--block)" if free < LITTLE_MEMORY else ""
    return Finding("memory", f"{free / GIB:.1f} of {total / GIB:.1f} GiB free, {os.cpu_count()} cores", fix)


def _bytes(pages: str) -> int | None:
    if sys.platform == "win32" or pages not in os.sysconf_names:
        return None
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")


def _disk(name: str, path: Path) -> Finding:
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        return Finding(name, f"{path} may not be written", "choose another with SEG_HOME" if name == "home" else "")
    fix = "free space" if free < LITTLE_DISK else ""
    return Finding(name, f"{path}, {free / GIB:.1f} GiB free", fix)
