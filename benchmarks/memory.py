"""What a command takes: seconds, CPU seconds, and the most memory that it and all that it starts hold at once.

    python benchmarks/memory.py [--make 8192x8192] seg run {image} -o out --plugin ppp --workers 2

With `--make`, `{image}` is an image of generated nuclei of that size, as in `against.py`, removed at the end. Memory is
PSS, twice a second: pages that processes share count once.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.against import make as made

EVERY = 0.5
"""Seconds between two looks."""


def family(process: int) -> list[int]:
    """A process and all that it has started, and those have, by number."""
    found = [process]
    try:
        for task in Path(f"/proc/{process}/task").iterdir():
            children = (task / "children").read_text(encoding="ascii").split()
            found += [one for child in children for one in family(int(child))]
    except OSError:  # it has just ended
        pass
    return found


def pss(process: int) -> int:
    """Bytes of one process."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> int:
    words = sys.argv[1:]
    if words[:1] != ["--make"]:
        return told(words)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.tif"
        made(str(image), tuple(map(int, words[1].split("x"))))
        return told([word.replace("{image}", str(image)) for word in words[2:]])


def told(command: list[str]) -> int:
    """Run a command, print what it took, and give its exit code."""
    began, most = time.monotonic(), [0]
    child = subprocess.Popen(command)
    while child.poll() is None:
        now = [pss(one) for one in family(child.pid)]
        most = max(most, now, key=sum)
        time.sleep(EVERY)
    used, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    each = " + ".join(f"{n / 2**30:.2f}" for n in sorted(most, reverse=True))
    print(f"{wall:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, {sum(most) / 2**30:.2f} GiB ({each})")
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
