"""A network that came as data may cost what its weights and the image warrant, and no more: a fork with limits runs it.

What brings down a parser or a runtime brings down the fork alone.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from toolkit.errors import ModelError, ToolkitError
from toolkit.registry.gate import refusing, said
from toolkit.registry.gate.channel import pack, receive, send, unpack

Arrays = Sequence[NDArray[Any]]
Run = Callable[[Arrays], Arrays]
AVAILABLE = sys.platform.startswith("linux")
"""Elsewhere a fork has no limit on its memory, and libraries may not survive one: networks run without."""
START, ANSWER = 2.0, 3.0
"""Seconds of processor time that building a network and one answer may take, however small they are."""
LOADING, SPEED = 1e7, 2e9
"""Bytes of weights a second that building takes, operations a second that any processor manages."""
MEMORY = 3 * 2**28
"""Bytes that anything may take beside its weights and maps."""
PER_VOXEL = 2**10, 2**13
"""Bytes of maps for each number of the input, at least and at most; between them the bytes of the weights."""
MOST_ANSWER = 4096
"""Numbers of an answer for each number of its question."""
DO = "get the model again from its author"


def seconds(weights: int, voxels: int) -> float:
    """Processor time of an answer: every weight, of 4 bytes, meets every number of the input at most once."""
    return ANSWER + 2 * (weights / 4) * voxels / SPEED


def memory(weights: int, voxels: int) -> int:
    """Bytes for an input of so many numbers."""
    return MEMORY + 4 * weights + voxels * min(max(PER_VOXEL[0], weights), PER_VOXEL[1])


class Limited:
    """What `make` makes, in a fork that lives as long as this object: `limited(arrays)` are its answers.

    `weights` are the bytes of the model. Raises `ModelError(what, where)` for all that goes wrong in it.
    """

    def __init__(self, make: Callable[[], Run], weights: int, what: str, where: str) -> None:
        self._what, self._where = what, where
        there, back = os.pipe(), os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            # The fork waits for no other thread of this process.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            os.close(there[1])
            os.close(back[0])
            _live(make, weights, os.fdopen(there[0], "rb"), os.fdopen(back[1], "wb"))
        os.close(there[0])
        os.close(back[1])
        self._requests, self._answers = os.fdopen(there[1], "wb"), os.fdopen(back[0], "rb")
        self._end = weakref.finalize(self, _end, process, os.getpid(), self._requests, self._answers)
        self._receive(0)

    def __call__(self, arrays: Arrays) -> list[NDArray[Any]]:
        about, blobs = pack(arrays)
        with suppress(BrokenPipeError):  # why it is gone, its last answer or its end says
            send(self._requests, {"arrays": about}, blobs)
        return self._receive(sum(a.size for a in arrays) * MOST_ANSWER * 8)

    def _receive(self, most: int) -> list[NDArray[Any]]:
        with refusing(self._what, self._where, DO):
            try:
                answer, blobs = receive(self._answers, most)
            except EOFError:
                raise ModelError(self._what, f"{self._where} ({self._fate()})", DO) from None
            if "error" in answer:
                raise ModelError(*map(str, answer["error"]))
            return unpack(answer["arrays"], blobs)

    def _fate(self) -> str:
        """How the fork ended."""
        status = self._end()
        if status == -signal.SIGPROF:
            return "it takes more time than its weights and the image warrant"
        return f"it ended with signal {-status}" if status and status < 0 else "it ended"


class Trial:
    """Shows, in a fork, that what runs in this process costs no more than it may: once for each shape of its inputs."""

    def __init__(self, run: Run, weights: int, what: str, where: str) -> None:
        self._run, self._about = run, (weights, what, where)
        self._seen: set[tuple[tuple[int, ...], ...]] = set()

    def __call__(self, shapes: Sequence[Sequence[int]], arrays: Callable[[], Arrays]) -> None:
        """`arrays` gives one sample of inputs of these shapes. Raises `ModelError` if they cost too much."""
        key = tuple(tuple(shape[1:]) for shape in shapes)
        if AVAILABLE and key not in self._seen:
            Limited(lambda: self._run, *self._about)(arrays())
            self._seen.add(key)


def _end(process: int, owner: int, *pipes: IO[bytes]) -> int | None:
    """Let the fork end, if it has not; its exit code. Another fork of its owner has nothing to end."""
    for pipe in pipes:
        with suppress(OSError):
            pipe.close()
    if os.getpid() != owner:
        return None
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _live(make: Callable[[], Run], weights: int, requests: IO[bytes], channel: IO[bytes]) -> None:
    """The fork's side; does not return."""
    import resource

    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for output in (1, 2):  # what a runtime prints when it gives up is nobody's
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        base = _held()
        with _limit(START + weights / LOADING, base + memory(weights, 0)):
            run = make()
        send(channel, {"arrays": []})
        while True:
            question, blobs = receive(requests, sys.maxsize)
            arrays = unpack(question["arrays"], blobs)
            voxels = sum(a.size for a in arrays)
            with _limit(seconds(weights, voxels), base + memory(weights, voxels)):
                about, found = pack(run(arrays))
            send(channel, {"arrays": about}, found)
    except ToolkitError as error:
        send(channel, {"error": [error.what, error.where, error.do]})
    # It reads hostile bytes: whatever it raises is said to the parent, who may be gone.
    except BaseException as error:
        if not isinstance(error, EOFError):
            send(channel, {"error": ["the network failed", said(error), DO]})
    finally:
        os._exit(0)


@contextmanager
def _limit(seconds: float, memory: int) -> Iterator[None]:
    """Processor time, after which the process ends, and bytes that it may hold."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def _held() -> int:
    """Bytes that this process holds already."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
