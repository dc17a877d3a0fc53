"""CPU seconds and peak memory of a `seg` command with this code and with that of another commit, taking turns.

    python benchmarks/against.py COMMIT [--rounds N] [--make SIZE] [--count N] -- run {image} -o {out} --plugin ppp …

Writes the least CPU seconds of each (all processes) and their ratio, and the most memory of one process. `--make
1024x1024` writes an image of generated nuclei of that size, `{image}`, first; with `--count` it is a folder of so many.
`{out}` is a fresh output each time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEG = [sys.executable, "-m", "toolkit.cli"]
TILE = 512
"""Larger images are made of tiles of this size."""
CHILD = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, done.stderr[-2000:]]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--make", default="")
    parser.add_argument("--count", type=int, default=0)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    said, command = parser.parse_args(sys.argv[1:at]), sys.argv[at + 1 :]
    with tempfile.TemporaryDirectory() as scratch:
        before = Path(scratch) / "before"
        subprocess.run(["git", "worktree", "add", "--detach", str(before), said.commit], cwd=ROOT, check=True,
                       capture_output=True)  # fmt: skip
        image = str(Path(scratch) / ("images" if said.count else "image.tif"))
        shape = tuple(map(int, said.make.split("x"))) if said.make else ()
        if said.count:
            Path(image).mkdir()
        for number in range((said.count or 1) if said.make else 0):
            make(f"{image}/{number:04}.tif" if said.count else image, shape, number)
        try:
            best: dict[str, list[float]] = {}
            for number in range(said.rounds):
                for name, root in (("before", before), ("now", ROOT)):
                    out = str(Path(scratch) / f"{name}-{number}")
                    cpu, memory = spent(root, [*SEG, *(part.format(image=image, out=out) for part in command)])
                    held = best.setdefault(name, [cpu, memory])
                    best[name] = [min(held[0], cpu), max(held[1], memory)]
                    sys.stdout.write(f"{name}: {cpu:.2f} s CPU, {memory:.2f} GiB\n")
                    sys.stdout.flush()
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=False)
    ratio = best["before"][0] / best["now"][0]
    sys.stdout.write(
        f"{said.commit[:7]} {best['before'][0]:.2f} s, now {best['now'][0]:.2f} s of CPU: ×{ratio:.2f}; "
        f"peak {best['before'][1]:.2f} and {best['now'][1]:.2f} GiB"
    )
    if said.make:
        megapixels = prod(shape) * (said.count or 1) / 1e6
        sys.stdout.write(f"; {best['now'][0] / megapixels:.2f} s per megapixel")
    sys.stdout.write("\n")


def make(path: str, shape: tuple[int, ...], seed: int = 0) -> None:
    """Nuclei as large and as many as in a fluorescence image."""
    import numpy as np
    import tifffile

    from toolkit.testing.scenes import blobs

    small = tuple(min(n, TILE) for n in shape)
    scene = blobs(small, count=max(1, prod(small) // 3000), radius=(8.0, 14.0), seed=seed).image.read()[0]
    tiled = np.tile(scene, [-(-n // s) for n, s in zip(shape, small, strict=True)])
    tifffile.imwrite(path, tiled[tuple(slice(0, n) for n in shape)])


def spent(root: Path, command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command, with the code in `root`, and its children, and GiB of the largest of them."""
    paths = [root, *sorted(p for p in (root / "plugins").iterdir() if p.is_dir())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs it has its bytecode
    child = [sys.executable, "-c", CHILD, *command]
    done = subprocess.run(child, cwd=root, env=environment, capture_output=True, text=True, check=True)
    code, cpu, memory, said = json.loads(done.stdout)
    if code:
        raise SystemExit(f"{root}: exit {code}: {said}")
    return float(cpu), float(memory)


if __name__ == "__main__":
    main()
