"""A program `seg` for shells that type it often: what it is asked is done by a fork of a process that has imported
everything heavy."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import tempfile
from pathlib import Path

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
    """Where a program knocks: a socket in a folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seg-door-")
        self.address = str(Path(self._folder.name) / "door")

    def write(self, path: Path) -> None:
        """Make the program."""
        path.write_text(CLIENT.format(python=sys.executable, address=self.address))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def close(self) -> None:
        self._folder.cleanup()


def opened(address: str) -> socket.socket:
    """The other side of the door."""
    door = socket.socket(socket.AF_UNIX)
    door.bind(address)
    door.listen(64)
    return door


def serve(guest: socket.socket) -> None:
    """Do what a guest has typed, with its streams, in this process; does not return."""
    code = 1
    try:
        head, streams, _, _ = socket.recv_fds(guest, 8, 3)
        words, folder, environment = json.loads(_all(guest, int.from_bytes(head, "big")))
        guest.sendall(os.getpid().to_bytes(8, "big"))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        signal.signal(signal.SIGINT, signal.default_int_handler)
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


def _all(guest: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += guest.recv(size - len(found))
    return found
