"""A run that is killed, and what `--resume` makes of it.

`python -m tests.battery.resumed [POINTS MOMENTS SEED]` kills at 40 failpoints and at 60 random moments.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import tifffile

from tests.battery.forkserver import ForkServer, Result
from tests.models import bright, by_chance, see_through
from toolkit.files.failpoint import VARIABLE
from toolkit.files.journal import Journal

POINTS = (
    "part.before", "part.written", "part.named", "journal.before", "journal.torn", "journal.after", "reduce.before",
    "output.made", "output.named", "finish.before", "forget.before", "publish.before", "publish.aside", "publish.after",
)  # fmt: skip
WINDOWS = 16
SHARDS = 2 + 4
"""Of a layer, in the TIFF and in the Zarr."""
PATCHES = {
    "name": "chance",
    "network": {"kind": "unet", "maps": [4, 8], "strides": [2], "units": 1},
    "loss": {"kind": "ppp:ppp", "patch": [5, 5]},
    "normalise": {"kind": "percentile"},
    "postprocess": {"kind": "ppp:ppp", "patch": [5, 5]},
    "tiling": {"window": [32, 32], "overlap": 8},
    "training": {"crop": [32, 32]},
}
"""Two passes over blocks, so that there are windows, fragments and a state to go on from."""


class Kills:
    """An image through two models, whole and killed; `died` counts where runs were killed. One of them looks at the
    image first, and what it looked at are pieces of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ForkServer(
            "tests.battery.small_shards",
            "toolkit.io.zarrlabels",
            "toolkit_ppp.assembly",
            "toolkit.builtin.networks.unet_module",
            "toolkit.cli.run",
            "mwatershed",
            "numba.typed",
            "scipy.sparse",
        )
        self.died: Counter[str] = Counter()
        self.scratch: Path | None = None
        tifffile.imwrite(folder / "a.tif", bright((100, 90), 0, 50))
        learnt = {"diameter_px": {"low": 2.0, "median": 7.0, "high": 14.0}}
        models = {
            "seen": see_through(folder / "seen", input=learnt),
            "chance": by_chance(folder / "chance", PATCHES, 2),
        }
        self.words = {
            name: ["run", "a.tif", "--model", str(model), "--block", "64", "--no-preview", "--device", "cpu"]
            for name, model in models.items()
        }
        self.whole, self.seconds, self.total = {}, {}, {"seen": 2 + WINDOWS + 4, "chance": 2 + WINDOWS + 4 + 1 + 4}
        for name in models:
            done = self.seg(name, f"whole-{name}")
            assert done.code == 0, done.err
            self.seconds[name] = done.seconds
            self.whole[name] = content(folder / f"whole-{name}")
            layers = len([*(folder / f"whole-{name}/a.zarr/labels").glob("layer-*")])
            self.total[name] += layers * SHARDS

    def seg(
        self, model: str, out: str, *words: str, timeout: float = 60, workers: int = 1, **environment: str
    ) -> Result:
        words = (*self.words[model], "-o", out, "--workers", str(workers), *words)
        home = str(self.folder / "home")
        return self.server(*words, folder=self.folder, timeout=timeout, SEG_HOME=home, **environment)

    def at(self, model: str, point: str, count: int, again: tuple[str, int] | None = None) -> bool:
        """Kill a run, and with `again` the resumed one as well; whether it was killed at all."""
        self.begin(model)
        killed = self.seg(model, "out", "--overwrite", **{VARIABLE: f"{point}:{count}"})
        if killed.code != -signal.SIGKILL:
            assert killed.code == 0, killed.err
            return False
        self.died[point] += 1
        if again:
            self.seg(model, "out", "--resume", "--overwrite", **{VARIABLE: f"{again[0]}:{again[1]}"})
        self.resumed(model)
        return True

    def after(self, model: str, seconds: float, workers: int = 1) -> None:
        """Kill a run after some time."""
        self.begin(model)
        try:
            done = self.seg(model, "out", "--overwrite", timeout=seconds, workers=workers)
            assert done.code == 0, done.err
        except TimeoutError:
            self.died["moment"] += 1
        self.resumed(model, workers)

    def begin(self, model: str) -> None:
        """An output that is to be replaced stands there."""
        for name in ("out", "out.work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.folder / f"whole-{model}", self.folder / "out")

    def resumed(self, model: str, workers: int = 1) -> None:
        """Go on with a run: nothing that has a row is written again, and the bytes are those of a whole run."""
        left = self.parts(model)
        done = self.seg(
            model, "out", "--resume", "--overwrite", workers=workers, **{VARIABLE: f"part.before:{left + 1}"}
        )
        assert done.code == 0, f"{left} parts were missing, and it died at the next: {done.err}"
        assert content(self.folder / "out") == self.whole[model]
        assert not (self.folder / "out.work").exists()

    def parts(self, model: str) -> int:
        """How many parts a resumed run has to make."""
        work = self.folder / "out.work"
        if Journal(work / "done.txt").rows() and (work / "result").exists():
            return 0
        kept = self.scratch.glob("*.work") if self.scratch else [work]
        return self.total[model] - sum(
            len(Journal(p).rows()) for place in kept for p in place.glob("images/*/0/journal")
        )


def content(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but what holds times."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != "run.json"}


def kill(kills: Kills, points: int, moments: int, seed: int = 0) -> None:
    """Kill at so many failpoints and so many random moments."""
    draw = random.Random(seed)
    done = 0
    while done < points:
        # The first ones pass every place once, in both models; then any.
        point = POINTS[done % len(POINTS)] if done < len(POINTS) else draw.choice(POINTS)
        model = ("chance", "seen")[done % 2]
        most = 30 if point.startswith(("part", "journal")) else 2
        done += kills.at(model, point, draw.randint(1, most) if done % 3 else 1)
    for n in range(moments):
        model = ("chance", "seen")[n % 2]
        kills.after(model, draw.uniform(0.03, 0.95) * kills.seconds[model])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        battery = Kills(Path(scratch))
        kill(battery, *map(int, sys.argv[1:] or (40, 60)))
        sys.stdout.write(f"0 differing bytes after {sum(battery.died.values())} kills: {dict(battery.died)}\n")
