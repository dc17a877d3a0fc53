"""A process that has imported what all tests need, and nothing of the tree, and runs pytest in forks of itself.

One line of JSON in, `{"tests", "limit", "log"}`, one out: the exit status, null where the tests took too long.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

LIBRARIES = ("hypothesis", "numba", "numpy", "pydantic", "pytest", "safetensors", "scipy.ndimage", "torch", "zarr")
IMPORTED = "ignore::pytest.PytestAssertRewriteWarning"
"""What has been imported here is none of the modules whose assertions pytest rewrites."""
FLAGS = ("-q", "-x", "--tb=line", "--no-header", "-p", "no:cacheprovider", "-W", IMPORTED)


def main() -> None:
    """Answer until nobody asks any more."""
    for name in LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(tests: list[str], limit: float, log: str) -> int | None:
    child = os.fork()
    if not child:
        _tested(tests, log)
    end = time.monotonic() + limit
    try:
        while time.monotonic() < end:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        _ended(child)


def _ended(group: int) -> None:
    """What the tests have started ends with them."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(group, 0)


class Failures:
    """Notes for pytest that a test failed: a failure may leave things behind on which pytest itself breaks down.

    An example that fails is enough: nobody waits for the smallest one.
    """

    seen = False

    def pytest_sessionstart(self) -> None:
        hypothesis: Any = import_module("hypothesis")
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("planted", hypothesis.settings.default, phases=phases)
        hypothesis.settings.load_profile("planted")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seen |= report.failed


def _tested(tests: list[str], log: str) -> NoReturn:
    status, failures = 99, Failures()
    try:
        os.setsid()
        said = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = int(import_module("pytest").main([*FLAGS, *tests], [failures]))
    except BaseException:
        status = 1 if failures.seen else 99
        traceback.print_exc()
    finally:
        # Whatever happens, nothing of the parent goes on in the child.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
