"""Memory is planned for, and kept where that saves time."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from toolkit.gpu.memory import keep_freed

CHILD = """
import resource
import numpy as np
from toolkit.gpu.memory import keep_freed
assert keep_freed()
def used():
    held = [np.ones(3 * 2**20, np.float32) for _ in range(4)]
used()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    used()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have other rules")
def test_arrays_of_a_freed_size_cause_no_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    pages = 5 * 4 * 12 * 2**20 // resource.getpagesize()
    assert int(done.stdout) < pages / 20


def test_it_is_said_whether_memory_is_kept() -> None:
    assert keep_freed() is (sys.platform == "linux")
