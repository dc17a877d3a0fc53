"""Plant faults in a copy of the repository, one at a time, and run the tests that are named for them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.fault import ROOT, Fault

LIMIT = 300.0
"""Seconds that the tests of one fault may take."""
CAUGHT, SURVIVED, ERROR = "caught", "survived", "error"
CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL}
"""Exit statuses of an interpreter that breaks down, which nobody overlooks: a loop that runs past its arrays may."""
SERVER = Path(__file__).with_name("server.py")


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: `caught`, `survived` or `error`, and what pytest said last."""

    fault: Fault
    result: str
    said: str
    seconds: float


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Path]:
    """A copy of what git knows, or would, of a checkout, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="seg-mutants-") as scratch:
        copy = Path(scratch).resolve() / "tree"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (root / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, copy / name, follow_symlinks=False)
        yield copy


class Bed:
    """A tree in which faults are planted; each set of its tests runs in a process of its own."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self._ticks = 0
        self._log = tree.with_name(f"{tree.name}.log")
        places = os.pathsep.join(map(str, [tree, *(tree / "plugins").glob("*/")]))
        # The same examples each time.
        environment = {**os.environ, "PYTHONPATH": places, "CI": "1", "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-P", str(SERVER)], cwd=tree, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()
        self._log.unlink(missing_ok=True)

    def run(self, tests: Sequence[str], limit: float = LIMIT) -> tuple[int | None, str]:
        """Exit status of pytest on these node ids, None where they took too long, and what they said."""
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"tests": list(tests), "limit": limit, "log": str(self._log)}) + "\n")
        stdin.flush()
        status = json.loads(stdout.readline())
        return status, self._log.read_text("utf8", "replace") if self._log.exists() else ""

    def sound(self, faults: Iterable[Fault]) -> str:
        """Why the tests that are named fail without a fault, and so catch nothing; "" where they pass."""
        status, said = self.run(sorted({test for fault in faults for test in fault.tests}), 12 * LIMIT)
        return "" if status == 0 else said or "it took too long"

    def plant(self, fault: Fault) -> Outcome:
        """Plant a fault, run its tests, and take it out again."""
        path = self.tree / fault.file
        text = path.read_text("utf8") if path.is_file() else ""
        if text.count(fault.old) != 1:
            there = "is there no more" if fault.old not in text else "is there more than once"
            return Outcome(fault, ERROR, f"the old text {there}", 0.0)
        began = time.perf_counter()
        try:
            self._write(path, text.replace(fault.old, fault.new))
            status, said = self.run(fault.tests)
        finally:
            self._write(path, text)
        seconds = time.perf_counter() - began
        if status is None:
            return Outcome(fault, ERROR, f"its tests take more than {LIMIT:.0f} s", seconds)
        if status in CRASHES:
            return Outcome(fault, CAUGHT, f"its tests end by {signal.Signals(-status).name}", seconds)
        lines = [line for line in said.splitlines() if line.strip()] or [""]
        return Outcome(fault, {0: SURVIVED, 1: CAUGHT}.get(status, ERROR), lines[-1], seconds)

    def _write(self, path: Path, text: str) -> None:
        """Write a source with a time that no version of it had: Python knows what it compiled by time and size."""
        path.write_text(text, "utf8")
        self._ticks += 1
        os.utime(path, (1_000_000_000 + self._ticks,) * 2)
