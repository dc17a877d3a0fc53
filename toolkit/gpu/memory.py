"""How much memory there is, and whether an error says that it ran out."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from toolkit.gpu.backend import Backend

SHARE = 0.7
"""Share of the free memory that work may be planned for."""
BASE = 2**29
"""What Python, torch and a few images take in main memory."""
KEPT, LARGE = 2**28, 2**25
"""Bytes that are kept, and from which on an array is mapped by itself (the most that glibc allows)."""
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Names of glibc's options, in malloc.h."""
MEMINFO, LIMIT = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def amount(gigabytes: float) -> str:
    """As a sentence says it; what is small in the unit below."""
    if gigabytes >= 0.1:
        return f"{gigabytes:.1f} GB"
    return f"{gigabytes * 2**10:.0f} MB" if gigabytes >= 2**-10 else "less than 1 MB"


def free(backend: Backend) -> int:
    """Bytes that work on this device may take."""
    if backend.on_gpu:
        import torch

        return int(SHARE * torch.cuda.mem_get_info(torch.device(backend.device))[0])
    return max(0, int(SHARE * available()) - BASE)


@cache
def keep_freed() -> bool:
    """Let this process keep up to `KEPT` bytes of main memory that it frees, for its next arrays; whether it will.

    glibc gives large arrays back at once, and the pages of every new one are cleared and mapped again: a fifth of the
    time that a network takes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGE) and mallopt(TRIM_THRESHOLD, KEPT))


def exhausted(error: BaseException) -> bool:
    """Whether memory ran out: on the CPU torch raises a RuntimeError like any other."""
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def held_by(process: int) -> int:
    """Bytes of main memory that a process holds, by its number; 0 where nobody says."""
    return _pages(process, 1)


def shared_by(process: int) -> int:
    """Those of them that another such process would share with it: pages of files, such as libraries."""
    return _pages(process, 2)


def _pages(process: int, column: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[column])
    except (OSError, IndexError, ValueError):  # it has just ended, or this is another system
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def available() -> int:
    """Bytes of free main memory, within the limit of a container."""
    if MEMINFO.is_file():
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        found = int(lines["MemAvailable"].split()[0]) * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    else:
        found = 4 * 2**30
    limit = LIMIT.read_text(encoding="ascii").strip() if LIMIT.is_file() else ""
    return min(found, int(limit)) if limit.isdigit() else found
