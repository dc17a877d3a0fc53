"""Landlock: a process that gives up all files but a few folders, TCP and signals, for good.

Linux 5.13 and later. Structures and numbers are those of the kernel's `landlock.h`; nothing but ctypes is needed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER, _DEVICE_COMMANDS = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 15
_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: _DEVICE_COMMANDS}
"""Rights by the version that brought them: execute, read, write, remove, make; refer; truncate; commands of devices."""
_TCP = 0b11
_SCOPES = 0b11
_DEVICES = ("/dev/null", "/dev/zero", "/dev/nvidiactl", "/dev/nvidia-uvm", *(f"/dev/nvidia{i}" for i in range(16)))


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The version of Landlock that this kernel offers; 0 for none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def restrict(readable: Iterable[Path], scratch: Path) -> bool:
    """From now on this thread, and those that it starts, read only below `readable` and write only below `scratch`;
    they start no program, open no TCP connection and signal nobody, as far as the kernel's version has it.

    Cannot be undone. Returns False, and restricts nothing, where the kernel has no Landlock. Raises `OSError` if it has
    but refuses.
    """
    has = version()
    if not has:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    rights = sum(bits for since, bits in _RIGHTS.items() if since <= has)
    rules = _Ruleset(rights, _TCP if has >= 4 else 0, _SCOPES if has >= 6 else 0)
    size = 24 if has >= 6 else 16 if has >= 4 else 8
    ruleset = _checked(libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    try:
        for path in readable:
            _allow(libc, ruleset, path, _READ_FILE | (_READ_FOLDER if path.is_dir() else 0))
        _allow(libc, ruleset, scratch, rights & ~(_EXECUTE | _DEVICE_COMMANDS))
        for path in filter(Path.exists, map(Path, _DEVICES)):
            _allow(libc, ruleset, path, rights & (_READ_FILE | _WRITE_FILE | 1 << 14 | _DEVICE_COMMANDS))
        _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Beneath(rights, parent)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
