"""The parent's end of the process in which code runs that a user trusts (`child.py`)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, Timer
from typing import Any

from numpy.typing import NDArray

from toolkit.errors import ModelError, StorageError
from toolkit.registry.gate import child, refusing
from toolkit.registry.gate.channel import pack, receive, send, unpack
from toolkit.registry.gate.confine import FILE_BYTES, Walls

log = logging.getLogger(__name__)
PATIENCE = 600.0
"""Seconds that trusted code may take for one answer. Between answers it is stopped."""
WATCHED = 0.5
"""Seconds between looks at what it writes."""
SCRATCH_BYTES, SCRATCH_FILES = 2**28, 10_000
"""What it may keep in its scratch folder."""
MOST_THREADS = 1000
MOST_CHANNELS = 4096
"""Channels that an answer may have for each voxel of the question."""
FAILED = "the model's own code failed"
KEPT = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""What the process inherits of the environment: no tokens, no proxies, no startup files of Python."""


class Child:
    """A confined process that holds one trusted network and answers arrays with arrays. It ends with this object."""

    def __init__(self, task: Mapping[str, Any], blobs: Sequence[bytes], where: str) -> None:
        """`task` and `blobs` are what `child.py` builds the network from."""
        self._where = where
        self._process = _Process(where)
        self.walls = self._process.walls
        if not self.walls.whole:
            log.warning("the code of %s, as you trust it, can %s", where, "; ".join(self.walls.open))
        self._process.ask(task, blobs, 0)

    def __call__(self, arrays: Sequence[NDArray[Any]], device: str) -> list[NDArray[Any]]:
        """The network's outputs for these inputs, computed on `device`, or on the CPU if the process has no other."""
        about, blobs = pack(arrays)
        most = sum(a.size for a in arrays) * MOST_CHANNELS * 8
        answer, found = self._process.ask({"arrays": about, "device": device}, blobs, most)
        with refusing(FAILED, self._where):
            if answer["device"] != device:
                log.warning("the code of %s has no %s: it runs on the CPU", self._where, device)
            return unpack(answer["arrays"], found)


def walls() -> Walls:
    """What holds trusted code in on this machine, found by confining a process."""
    return _Process("seg").walls


class _Process:
    """A confined process before it has read anything; `ask` speaks with it."""

    def __init__(self, where: str) -> None:
        self._where = where
        try:
            scratch = Path(tempfile.mkdtemp(prefix="seg-model-"))
        except OSError as error:
            raise StorageError("there is no place for scratch files", error.strerror or error, "set TMPDIR") from error
        self._popen = _started(scratch)
        self._end = weakref.finalize(self, _end, self._popen, scratch)
        with refusing("the process for the model's code did not start", where, "see seg doctor"):
            hello, _ = self._receive(0)
            self.walls = Walls(int(hello["landlock"]), bool(hello["seccomp"]), bool(hello["one_thread"]))
        self._signal(signal.SIGSTOP)

    def ask(self, header: Mapping[str, Any], blobs: Sequence[Any], most: int) -> tuple[dict[str, Any], list[bytes]]:
        """The answer, of at most `most` bytes beside its header; raises `ModelError` if there is none in time."""
        self._signal(signal.SIGCONT)
        timer = Timer(PATIENCE, self._signal, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()
        try:
            with refusing(FAILED, self._where, "it may need something that the sandbox forbids, or more memory"):
                if self._popen.stdin is None:
                    raise OSError("the process has no pipes")
                send(self._popen.stdin, header, blobs)
                answer, found = self._receive(most)
        finally:
            timer.cancel()
        # What the code does while nobody asks it anything is not the model's business.
        self._signal(signal.SIGSTOP)
        if "error" in answer:
            raise ModelError(FAILED, f"{self._where} ({str(answer['error'])[:200]})", "ask the model's author")
        return answer, found

    def _receive(self, most: int) -> tuple[dict[str, Any], list[bytes]]:
        if self._popen.stdout is None:
            raise OSError("the process has no pipes")
        return receive(self._popen.stdout, most)

    def _signal(self, number: signal.Signals) -> None:
        _signal_group(self._popen, number)


def _started(scratch: Path) -> subprocess.Popen[bytes]:
    """The process, begun by a thread that waits for its end: it is killed when the thread that began it is gone."""
    path = [str(Path(child.__file__).parents[3]), *_installed()]
    interpreter = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *_libraries()]
    libraries = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if p]
    readable = [str(Path(child.__file__).parents[2]), *path[1:], *interpreter, *libraries]
    wanted = {"path": path, "readable": readable, "scratch": str(scratch), "parent": os.getpid()}
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    own = {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": "model", "LOGNAME": "model", "CUDA_CACHE_DISABLE": "1"}
    own |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    made: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()

    def begin() -> None:
        try:
            process = subprocess.Popen(
                # Neither environment nor `site` may import anything before the process is confined.
                [sys.executable, "-I", "-S", "-B", "-X", "utf8", child.__file__, json.dumps(wanted)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=scratch,
                env=kept | own,
                start_new_session=True,
            )
        except OSError as error:
            made.put(error)
            return
        made.put(process)
        _watch(process, scratch)

    Thread(target=begin, daemon=True).start()
    found = made.get()
    if isinstance(found, OSError):
        shutil.rmtree(scratch, ignore_errors=True)
        raise ModelError("no process for the model's code can be started", found, "see seg doctor") from found
    return found


def _watch(process: subprocess.Popen[bytes], scratch: Path) -> None:
    """Wait for the end of the process, and bring it about if it writes more than it may."""
    with suppress(ChildProcessError):  # somebody else has waited for it
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if _larger(scratch) or _hides(process.pid, scratch):
                _signal_group(process, signal.SIGKILL)
            time.sleep(WATCHED)
        # Whatever it started ends before its number is free for others.
        _signal_group(process, signal.SIGKILL)
    process.wait()


def _larger(folder: Path) -> bool:
    """Whether a folder holds more than scratch files should."""
    size = 0
    for count, path in enumerate(folder.rglob("*")):
        with suppress(OSError):
            about = path.lstat()
            size += max(about.st_size, about.st_blocks * 512)
        if size > SCRATCH_BYTES or count > SCRATCH_FILES:
            return True
    return False


def _hides(process: int, scratch: Path) -> bool:
    """Whether a process holds more than it may in files that have no name any more, or in threads."""
    here, size = Path(f"/proc/{process}"), 0
    with suppress(OSError):
        for path in (here / "fd").iterdir():
            with suppress(OSError):
                about = path.stat()
                size += 0 if about.st_nlink or not stat.S_ISREG(about.st_mode) else about.st_blocks * 512
        # Of a file that is only mapped any more nobody says how large it is.
        lines = [line.split(maxsplit=5) for line in (here / "maps").read_text("utf8", "replace").splitlines()]
        gone = {at[4] for at in lines if len(at) > 5 and at[5].startswith(str(scratch)) and at[5].endswith("(deleted)")}
        size += len(gone) * FILE_BYTES // 4
        return size > SCRATCH_BYTES or sum(1 for _ in (here / "task").iterdir()) > MOST_THREADS
    return False


def _installed() -> list[str]:
    """Folders to import from in which something is installed: not the user's own, which are none of the code's
    business."""
    folders = [Path(p) for p in dict.fromkeys(sys.path) if p and Path(p).is_dir()]
    return [str(p) for p in folders if any(p.glob("*.dist-info")) or any(p.glob("*.egg-info")) or _standard(p)]


def _standard(folder: Path) -> bool:
    return folder.is_relative_to(sysconfig.get_path("stdlib"))


def _libraries() -> list[str]:
    """Folders of libraries of the interpreter."""
    return [str(Path(p).resolve() / name) for p in {sys.prefix, sys.base_prefix} for name in ("lib", "lib64")]


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the process and all that it may have started, unless it has ended."""
    with suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:
            os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes], scratch: Path) -> None:
    _signal_group(process, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    shutil.rmtree(scratch, ignore_errors=True)
