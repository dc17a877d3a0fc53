"""A process that runs code of others gives up all it can before it reads any of it, and says what it could not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.registry.gate import sandbox, seccomp

MEMORY = 8 * 2**30
"""Most bytes of its own that the process may hold, or half of the machine's memory where that is less."""
OPEN_FILES = 256
FILE_BYTES = 2**28
"""Most bytes of a file that it writes."""
SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/cuda", "/opt/rocm", "/nix/store",
    "/gnu/store", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/devices", "/proc/driver/nvidia", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""What libraries read of a system, beside themselves."""
_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class Walls:
    """What holds a process in. `files`: the version of Landlock, 0 for none; `calls`: whether system calls are
    filtered; `alone`: whether it had one thread when that was done, so that none is left outside."""

    files: int = 0
    calls: bool = False
    alone: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is open that this toolkit knows how to close."""
        return bool(self.files and self.calls and self.alone)

    @property
    def open(self) -> tuple[str, ...]:
        """What the code can still do, in words."""
        always = (
            "see whether a path exists, and its size and times",
            "use a GPU's driver, if the model runs on a GPU",
            "give wrong results",
        )
        if not self.alone or not (self.files or self.calls):
            return ("do all that you can: it is not sandboxed",)
        found = []
        if not self.files:
            found.append("read your files and the environment of your other programs")
        if not self.calls:
            found += [
                "start programs, which may outlive the run",
                "send datagrams and connect to local sockets",
                "change rights and times of your files, and watch them",
                "slow your other programs down",
                "take memory that no limit counts",
                "use the kernel's keys and rings",
            ]
            found += ["open TCP connections"] if self.files < 4 else []
            found += ["signal your other programs"] if self.files < 6 else []
        return (*found, *always)

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {"landlock": self.files, "seccomp": self.calls, "one_thread": self.alone, "open": list(self.open)}


def confine(readable: Sequence[str], scratch: str, parent: int) -> Walls:
    """Confine this process for good: limits, the end with its parent, which files, which system calls.

    `readable` are files and folders that it needs beside the system's libraries, `scratch` is where it may write where
    the kernel can tell one folder from another; `parent` is who started it.
    """
    _limit()
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before
            os._exit(1)
    alone = threads() == 1
    paths = [Path(path) for path in (*readable, *SYSTEM) if Path(path).exists()]
    try:
        files = sandbox.version() if sandbox.restrict(paths, Path(scratch)) else 0
    except OSError:  # a kernel that has it and will not: then without, and said
        files = 0
    return Walls(files, seccomp.restrict(writes=bool(files)), alone)


def threads() -> int:
    """Threads of this process; 0 where the system does not say."""
    here = Path("/proc/self/task")
    return len(os.listdir(here)) if here.is_dir() else 0  # noqa: PTH208


def _limit() -> None:
    import resource

    memory = min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    limits = {"DATA": memory, "CORE": 0, "FSIZE": FILE_BYTES, "NOFILE": OPEN_FILES}
    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (least, least))
