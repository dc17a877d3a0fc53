"""The command line of this environment, and its clock, for scripts that make tables."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable


def seg(*arguments: str) -> str:
    """Run `seg`; its progress goes to stderr, its stdout is returned. A failure ends the script."""
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"seg {' '.join(arguments)}: exit code {done.returncode}")
    return done.stdout


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before
