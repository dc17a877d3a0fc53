"""A program `seg` for shells that type it often: it forks from a process that has imported everything heavy."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

HEAVY = ("skimage.morphology", "skimage.segmentation", "torch", "numba", "zarr", "matplotlib.pyplot",
         "toolkit.cli.runner", "toolkit.pipeline.segment", "toolkit.running.run", "toolkit.training.training",
         "toolkit.builtin.networks.unet_module", "toolkit.registry.bioimageio.write", "torch._dynamo",
         "onnxscript", "onnxruntime")  # fmt: skip
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(there, [len(said).to_bytes(8, "big")], [0, 1, 2])
there.sendall(said)
pid = int.from_bytes(there.recv(8), "big")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = there.recv(1)
os._exit(code[0] if code else 137)
"""


class Door:
    """The process behind a program; `write(path)` makes the program. It ends by `close` or with who made it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seg-door-")
        self._address = str(Path(self._folder.name) / "door")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.door", self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"open\n"

    def write(self, path: Path) -> None:
        path.write_text(CLIENT.format(python=sys.executable, address=self._address))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def serve(address: str) -> None:
    """Fork for everybody who knocks."""
    for name in HEAVY:
        import_module(name)
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(64)
        sys.stdout.write("open\n")
        sys.stdout.flush()
        while True:
            guest, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _command(guest)
            guest.close()


def _command(guest: socket.socket) -> None:
    """What the guest has typed, with its streams; does not return."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        head, streams, _, _ = socket.recv_fds(guest, 8, 3)
        words, folder, environment = json.loads(_all(guest, int.from_bytes(head, "big")))
        guest.sendall(os.getpid().to_bytes(8, "big"))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
        sys.argv = ["seg", *words]
        from toolkit.cli import main

        code = main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        guest.sendall(bytes([code]))
        os._exit(code)


def _all(guest: socket.socket, size: int) -> Any:
    found = b""
    while len(found) < size:
        found += guest.recv(size - len(found))
    return found


if __name__ == "__main__":
    serve(sys.argv[1])
