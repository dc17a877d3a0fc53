"""Probes from code that the user trusts: none gets out beyond what `seg models trust` says, whatever the kernel has."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import packages
from tests.battery import probes
from toolkit.errors import ModelError
from toolkit.registry.gate.confine import Walls
from toolkit.registry.gate.process import Child

pytestmark = [pytest.mark.slow, pytest.mark.linux]

HIDE = """
import sys
from toolkit.registry.gate import seccomp
machine = seccomp.MACHINES[seccomp.platform.machine()]
lines = [(0x20, 0, 0, 0)]
for number in ({444: (444, 444)} if "landlock" in sys.argv[2] else {}):
    lines += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | 38)]
if "seccomp" in sys.argv[2]:
    call = (157, 167)[machine[0]]
    lines += [(0x15, 0, 3, call), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (0x06, 0, 0, 0x50000 | 22), (0x20, 0, 0, 0)]
assert seccomp.install([*lines, (0x06, 0, 0, 0x7FFF0000)])
"""
"""A filter of our own that makes this kernel one without Landlock, without filters, or without both."""
TRY = """
import json
import os
from toolkit.errors import ModelError
from toolkit.registry.gate import process
try:
    os.set_inheritable(os.open(sys.argv[1], os.O_RDONLY), True)
    child = process._Process("here")
    print(json.dumps(child.walls.plain()))
    task = {"kind": "pytorch_state_dict", "name": "net.py", "callable": "Net", "kwargs": {}, "strict": True}
    source = open(sys.argv[1]).read().encode()
    child.ask(task, [source, b""], 0)  # it tries before it would need weights
except ModelError as error:
    print(error)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A file, sockets and another program of the user, for the code to get at."""
    file = tmp_path / "user" / "own.txt"
    file.parent.mkdir()
    file.write_text("precious")
    os.utime(file, (10**9, 10**9))
    tcp, udp, stream, datagrams, abstract = (
        socket.socket(family, kind)
        for family, kind in (
            (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_STREAM),
        )
    )  # fmt: skip
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    stream.bind(str(tmp_path / "s"))
    datagrams.bind(str(tmp_path / "d"))
    abstract.bind("\0seg" + str(os.getpid()))
    for one in (tcp, stream, abstract):
        one.listen(64)
    victim = subprocess.Popen(["sleep", "300"], env={"TOKEN": "secret"})
    maps = Path(f"/proc/{victim.pid}/maps").read_text().split("-")[0]
    try:
        yield {
            "folder": str(file.parent), "file": str(file), "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1],
            "socket": str(tmp_path / "s"), "datagrams": str(tmp_path / "d"), "abstract": "seg" + str(os.getpid()),
            "process": victim.pid, "address": int(maps, 16), "memory": 2**36,
        }  # fmt: skip
    finally:
        victim.kill()
        victim.wait()
        for one in (tcp, udp, stream, datagrams, abstract):
            one.close()


def tried(world: dict[str, Any], hidden: str, tmp_path: Path) -> tuple[dict[str, Any], set[str]]:
    """What holds the code in on a kernel without what is `hidden`, and which probes get out there."""
    source = tmp_path / "net.py"
    world = {**world, "lent": str(source)}
    source.write_text(probes.SOURCE.replace("WANTED", repr(json.dumps(world))))
    done = subprocess.run(
        [sys.executable, "-c", HIDE + TRY, str(source), hidden], capture_output=True, text=True, timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    walls, said = done.stdout.strip().splitlines()
    found = re.search(r"found ([01]+)", said)
    assert found, said + done.stderr
    assert len(found[1]) == len(probes.NAMES) >= 15
    return json.loads(walls), {name for name, out in zip(probes.NAMES, found[1], strict=True) if out == "1"}


@pytest.mark.parametrize("hidden", ["nothing", "landlock", "seccomp", "landlock and seccomp"])
def test_no_probe_gets_out_beyond_what_trust_says(world: dict[str, Any], hidden: str, tmp_path: Path) -> None:
    walls, out = tried(world, hidden, tmp_path)
    has = bool(walls["landlock"]), walls["seccomp"]
    assert has == ("landlock" not in hidden and has[0], "seccomp" not in hidden)
    if has == (False, False):
        assert walls["open"] == ["do all that you can: it is not sandboxed"]
        assert "write a new file" in out  # the probes can tell
        return
    said = "; ".join(walls["open"])
    assert [name for name in sorted(out) if name not in probes.SAID or probes.SAID[name] not in said] == []
    file = Path(world["file"])
    assert file.read_text() == "precious"
    assert {p.name for p in file.parent.iterdir()} == {"own.txt"}
    if hidden == "nothing" and walls["landlock"] >= 6:
        assert out == set()
    if has[1]:
        assert file.stat().st_mtime == 10**9


def child(source: str) -> Child:
    task = {"kind": "pytorch_state_dict", "name": "net.py", "callable": "Net", "kwargs": {}, "strict": True}
    return Child(task, [(packages.NET + source).encode(), packages.pt(packages.state_dict())], "here")


X = [np.zeros((1, 1, 4, 4), np.float32)]


def seconds(process: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_code_that_works_on_between_answers_is_stopped() -> None:
    made = child("\nimport threading\ndef spin():\n    while True:\n        pass\n"
                 "threading.Thread(target=spin, daemon=True).start()\n")  # fmt: skip
    for _ in range(2):
        made(X, "cpu")
        before = seconds(made._process._popen.pid)
        time.sleep(0.5)
        assert seconds(made._process._popen.pid) - before < 0.1


def test_code_that_never_answers_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.registry.gate import process

    monkeypatch.setattr(process, "PATIENCE", 3.0)
    began = time.monotonic()
    with pytest.raises(ModelError, match="own code failed"):
        child("\nwhile True:\n    pass\n")
    assert time.monotonic() - began < 8


def header(text: bytes) -> bytes:
    """A whole message of just this header."""
    return struct.pack("<Q", len(text)) + text + b"\xff" * 8


FAKED = {
    "noise": b"x" * 100,
    "an endless part": struct.pack("<Q", 2**62),
    "no error and no arrays": header(b'{"a": 1}') * 2,
    "a deep header": header(b"[" * 9000),
    "arrays of objects": header(b'{"arrays": [{"dtype": "|O", "shape": [1]}], "device": "cpu"}') * 2,
}
LIAR = """
import os
for descriptor in range(3, 9):
    try:
        os.write(descriptor, LIE)
    except OSError:
        pass
os._exit(0)
"""


@pytest.mark.parametrize("lie", FAKED)
def test_answers_that_code_fakes_are_one_sentence(lie: str) -> None:
    with pytest.raises(ModelError, match="own code failed"):
        child(LIAR.replace("LIE", repr(FAKED[lie])))(X, "cpu")


@pytest.mark.parametrize("end", ["os.close(3)", "os._exit(0)", "os.abort()", "raise SystemExit('x')"])
def test_code_that_ends_its_process_is_one_sentence(end: str) -> None:
    with pytest.raises(ModelError, match="own code failed"):
        child(f"\nimport os\n{end}\n")(X, "cpu")


def test_scratch_files_may_be_written_but_not_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = child(
        "\nimport os, tempfile\nos.mkdir('a')\nopen('a/b', 'w').write('x')\ntempfile.TemporaryFile().write(b'x')\n"
    )
    assert [p.name for p in tmp_path.glob("seg-model-*/*")] in (["a"], [])
    del made
    with pytest.raises(ModelError, match="own code failed"):
        child("\nimport itertools\nfor n in itertools.count():\n    open(f'f{n}', 'wb').write(b'x' * 2**24)\n")
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < 2**31


def test_the_process_ends_with_its_parent_however_that_ends() -> None:
    source = "import os, sys\nfrom tests.battery.test_sandbox import child\nmade = child('')\n" \
             "print(made._process._popen.pid, flush=True)\nos.kill(os.getpid(), 9)\n"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while alive(int(done.stdout)):
        assert time.monotonic() < deadline, "the process is still there"
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether a process is there and no zombie that nobody waits for."""
    about = Path(f"/proc/{process}/stat")
    return about.exists() and about.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_is_open_is_said_for_every_kernel() -> None:
    assert Walls(7, True, True).whole
    assert not Walls(7, True, alone=False).whole
    assert Walls(7, True, alone=False).open == Walls().open == ("do all that you can: it is not sandboxed",)
    assert "read your files" in Walls(0, True, True).open[0]
    assert any("TCP" in said for said in Walls(3, False, True).open)
    assert not any("TCP" in said for said in Walls(4, False, True).open)
