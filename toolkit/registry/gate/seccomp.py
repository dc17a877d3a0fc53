"""A filter of system calls: a process gives up, for good, what computing does not need.

Nothing but ctypes is needed. The program is the kernel's classic BPF over `struct seccomp_data` (`linux/seccomp.h`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterator

from toolkit.registry.gate.syscalls import FORBIDDEN, JUDGED, LAST, MACHINES, WRITING

_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _GREATER, _ANY, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_THREAD = 0x10000
"""`CLONE_THREAD`: without it, `clone` makes a process."""
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (getattr(os, "O_TMPFILE", 0) & ~0o200000)
_SHARED_MEMORY = 0x21
"""`MAP_SHARED | MAP_ANONYMOUS`, which no limit counts."""
_OWNERS_AND_LOCKS = (6, 7, 8, 10, 15, 37, 38, 1024, 1026)
"""Commands of `fcntl`: F_SETLK(W), F_SETOWN(_EX), F_SETSIG, the locks of open files, F_SETLEASE, F_NOTIFY."""
_DEVICES = (0x5412, 0x541C, 0x5452, 0x8901, 0x8902)
"""Commands of `ioctl` that type into a terminal or signal others."""
_OF_FILE_SYSTEMS = (0x66, 0x58, 0x94)
"""Letters of the commands of `ioctl` that file systems take, also of who only reads: flags, keys, seals, snapshots."""
_DEATH_SIGNAL = 1

Line = tuple[int, int, int, int]


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("lines", ctypes.POINTER(_Instruction)))


def restrict(writes: bool) -> bool:
    """From now on this thread, and those that it starts, can do nothing that `FORBIDDEN` names.

    `writes` leaves it to somebody else which files are written, made and removed. Cannot be undone. Returns False, and
    restricts nothing, where the system or the machine has no such filter.
    """
    machine = MACHINES.get(platform.machine())
    if machine is None or not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    return install(list(program(*machine, os.getpid(), writes)))


def install(lines: list[Line]) -> bool:
    """Put a filter before all system calls of this thread; False if the kernel takes none."""
    made = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    whole = _Program(len(lines), ctypes.cast(made, ctypes.POINTER(_Instruction)))
    libc = ctypes.CDLL(None, use_errno=True)
    return not libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) and not libc.prctl(
        _SET_SECCOMP, _MODE_FILTER, ctypes.byref(whole), 0, 0
    )


def program(column: int, architecture: int, process: int, writes: bool) -> Iterator[Line]:
    """The filter for a machine and the process with this number."""
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, architecture
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    # New calls do not exist, those of another way to call included: what can be done without them is done without.
    yield _GREATER, 0, 1, LAST
    yield _RETURN, 0, 0, _ERRNO | errno.ENOSYS
    forbidden = [numbers for calls in FORBIDDEN.values() for numbers in calls.values()]
    forbidden += [] if writes else list(WRITING.values())
    for numbers in forbidden:
        if (number := numbers[column]) is not None:
            yield _EQUAL, 0, 1, number
            yield _RETURN, 0, 0, _ERRNO | errno.EPERM
    for name, numbers in JUDGED.items():
        if (number := numbers[column]) is not None and (lines := _judgement(name, process, writes)):
            yield _EQUAL, 0, len(lines), number
            yield from lines
    yield _RETURN, 0, 0, _ALLOW


def _judgement(name: str, process: int, writes: bool) -> list[Line]:
    """What comes of a call, by its arguments: lines that always return."""
    match name:
        case "clone3":  # its arguments lie in memory, where no filter sees them: libraries then use `clone`
            return [_refused(errno.ENOSYS)]
        case "clone":
            return [_argument(0), (_ANY, 1, 0, _THREAD), _refused(), _allowed()]
        case "kill" | "tgkill":
            return [_argument(0), (_EQUAL, 1, 0, process), _refused(), _allowed()]
        case "fcntl":
            return _unless_one_of(1, _OWNERS_AND_LOCKS)
        case "ioctl":
            files = [line for letter in _OF_FILE_SYSTEMS for line in ((_EQUAL, 0, 1, letter << 8), _refused())]
            return [_argument(1), (_AND, 0, 0, 0xFF00), *files, *_unless_one_of(1, _DEVICES)]
        case "prctl":
            return _unless_one_of(0, (_DEATH_SIGNAL,))
        case "mmap":
            shared = (_EQUAL, 0, 1, _SHARED_MEMORY)
            return [_argument(3), (_AND, 0, 0, _SHARED_MEMORY), shared, _refused(errno.ENOMEM), _allowed()]
        case "prlimit64":  # looking at limits is allowed, new ones are a pointer that is not null
            asks = [(_EQUAL, 1, 0, 0), _refused()]
            return [_argument(2), *asks, _argument(2, high=True), *asks, _allowed()]
        case "open" | "openat" if not writes:
            return [_argument(1 if name == "open" else 2), (_ANY, 0, 1, _TO_WRITE), _refused(errno.EACCES), _allowed()]
    return []


def _unless_one_of(position: int, values: tuple[int, ...]) -> list[Line]:
    return [_argument(position), *(line for v in values for line in ((_EQUAL, 0, 1, v), _refused())), _allowed()]


def _argument(position: int, high: bool = False) -> Line:
    return _LOAD, 0, 0, 16 + 8 * position + 4 * high


def _refused(number: int = errno.EPERM) -> Line:
    return _RETURN, 0, 0, _ERRNO | number


def _allowed() -> Line:
    return _RETURN, 0, 0, _ALLOW
