"""Runs `seg` many times for the price of one import: imports once, then forks for each case."""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import door

ALWAYS = (
    *("skimage.morphology", "skimage.segmentation", "toolkit.cli.runner", "toolkit.pipeline.segment"),
    *("toolkit.running.run", "toolkit.running.plan", "toolkit.running.afford", "toolkit.registry.choose"),
    *("toolkit.cli.bars", "toolkit.io.tiff", "toolkit.io.ometiff", "toolkit.io.tifflabels", "toolkit.io.table"),
    *("toolkit.pipeline.convolutions", "imagecodecs._deflate", "imagecodecs._zlib", "safetensors.numpy"),
    *("rich.console", "rich.live", "rich.progress", "rich.status", "typer._adapters", "typer._click.decorators"),
)
"""What nearly every command imports."""
MEMORY = 16 * 2**30
EVENTS = {
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "os.system", "os.exec", "os.fork", "os.posix_spawn",
    "subprocess.Popen", "ctypes.dlopen",
}  # fmt: skip
"""What a command that only reads a model has no reason to do."""
OURS = ("os.fork", "limited.py")
"""But for this: a network that is data runs in a copy of the process whose memory and time have limits."""


@dataclass(frozen=True)
class Result:
    """What came of one command. `cpu` are seconds of processor time, `memory` the most GiB that it or a process of its
    own held; both begin with what the server has imported."""

    code: int
    out: str
    err: str
    seconds: float
    cpu: float = 0.0
    memory: float = 0.0

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


class ForkServer:
    """`server(arguments, path=…)` runs `seg` in a fork of a process that has imported everything heavy.

    `imports` are more modules to import first. `door.write(path)` makes a program that does the same. With
    `WATCHED=FILE` in the environment of a case, every connection and every new process is written to FILE; with
    `FSIZE=N` no file gets more than N bytes.
    """

    def __init__(self, *imports: str) -> None:
        self.door = door.Door()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, self.door.address, *imports], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"

    def __call__(
        self, *arguments: str, folder: Path, path: Path | None = None, timeout: float = 60, **environment: str
    ) -> Result:
        """Run in `folder` with the modules in `path`; raises `TimeoutError` after `timeout` seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        case = {"arguments": arguments, "folder": str(folder), "timeout": timeout, "environment": environment}
        case["path"] = str(path) if path else None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["code"] == -signal.SIGKILL and answer["seconds"] >= timeout:
            raise TimeoutError(f"seg {' '.join(arguments)} took longer than {timeout} s")
        return Result(**answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self.door.close()


def serve() -> None:
    """The server's side: one JSON line in, one out, for each case."""
    import torch

    entrance = door.opened(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write("open\n")
    answers.flush()
    for name in (*ALWAYS, *sys.argv[2:]):
        import_module(name)
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a fork that looks for garbage would copy all that was imported
    guests: set[int] = set()
    while True:
        asked, _, _ = select.select([sys.stdin, entrance], [], [])
        guests -= {pid for pid in guests if os.waitpid(pid, os.WNOHANG)[0]}
        if entrance in asked:
            guests.add(_let_in(entrance))
        if sys.stdin in asked:
            if not (line := sys.stdin.readline()):
                return
            answers.write(json.dumps(_fork(json.loads(line))) + "\n")
            answers.flush()


def _let_in(entrance: socket.socket) -> int:
    """Fork for a guest."""
    guest, _ = entrance.accept()
    child = os.fork()
    if child == 0:
        entrance.close()
        door.serve(guest)
    guest.close()
    return child


def _fork(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _case(case, out.fileno(), err.fileno())
        deadline = began + case["timeout"]
        done, status, used = os.wait4(child, os.WNOHANG)
        while not done and time.monotonic() < deadline:
            time.sleep(0.005)
            done, status, used = os.wait4(child, os.WNOHANG)
        if not done:
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:  # it leads no group yet
                os.kill(child, signal.SIGKILL)
            _, status, used = os.wait4(child, 0)
        texts = [(f.seek(0), f.read().decode(errors="replace"))[1] for f in (out, err)]
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": texts[0],
            "err": texts[1],
            "seconds": time.monotonic() - began,
            "cpu": used.ru_utime + used.ru_stime,
            "memory": used.ru_maxrss / 2**20,
        }


def _case(case: dict[str, Any], out: int, err: int) -> None:
    """The fork's side; does not return."""
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(case["folder"])
        os.environ.update(case["environment"])
        if "FSIZE" in case["environment"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(case["environment"]["FSIZE"]),) * 2)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if "WATCHED" in case["environment"]:
            _watch(case["environment"]["WATCHED"])
        if case["path"]:
            sys.path.insert(0, case["path"])
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (case["path"], os.environ.get("PYTHONPATH"))))
        from toolkit.cli import main

        code = main(case["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(log: str) -> None:
    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        # To ask for the caller is an event, too.
        if event in EVENTS and not (event == OURS[0] and sys._getframe(1).f_code.co_filename.endswith(OURS[1])):
            with open(log, "a") as stream:  # noqa: PTH123  (a path may be audited itself)
                stream.write(f"{event} {arguments}\n")

    sys.addaudithook(seen)


if __name__ == "__main__":
    serve()
