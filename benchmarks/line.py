"""The command line of this environment, for scripts that make tables."""

from __future__ import annotations

import subprocess
import sys


def seg(*arguments: str) -> str:
    """Run `seg`; its progress goes to stderr, its stdout is returned. A failure ends the script."""
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"seg {' '.join(arguments)}: exit code {done.returncode}")
    return done.stdout
