"""A process that has imported what all tests need, and nothing of the tree, and runs pytest in forks of itself.

One line of JSON in, `{"tests", "limit", "log"}`, one out: the exit status, null where the tests took too long.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from importlib import import_module
from typing import Any

LIBRARIES = ("hypothesis", "numba", "numpy", "pydantic", "pytest", "safetensors", "scipy.ndimage", "torch", "zarr")
FLAGS = ("-q", "-x", "--tb=line", "--no-header", "-p", "no:cacheprovider")


def main() -> None:
    """Answer until nobody asks any more."""
    for name in LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(tests: list[str], limit: float, log: str) -> int | None:
    child = os.fork()
    if not child:
        os._exit(_tested(tests, log))
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _tested(tests: list[str], log: str) -> int:
    status: Any = 99
    try:
        os.setsid()
        said = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = import_module("pytest").main([*FLAGS, *tests])
        sys.stdout.flush()
    finally:
        # Whatever happens, nothing of the parent goes on in the child.
        os._exit(int(status))


if __name__ == "__main__":
    main()
