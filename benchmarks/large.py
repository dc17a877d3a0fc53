"""Memory and time of large volumes, with a network that costs nothing: its heads are those of a volume of balls.

    python benchmarks/large.py 256 512 --methods threshold embedseg --shares 10 30

A cell of 60³ voxels holds one ball (4 913 in 1024³). Each case is a run in a process of its own, whose memory (PSS) is
read twice a second; one that was killed goes on with what it had, one that is in the record is not run again.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

CELL = 60
WINDOW, OVERLAP = 64, 8
UNIT = 1024
"""EmbedSeg's `grid`."""


def centres(cell: np.ndarray) -> np.ndarray:
    """Centres `(N, 3)` of the balls of cells `(N, 3)`: somewhere near the middle, by their number alone."""
    number = (cell * np.array([73856093, 19349663, 83492791])).sum(1)
    jitter = np.stack([(number * k % 1009) / 1009 for k in (7, 13, 29)], 1) - 0.5
    return np.asarray((cell + 0.5) * CELL + jitter * 8)


def balls(start: tuple[int, ...], shape: tuple[int, ...], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the centre of its cell `(…)`, and the way there `(3, …)`, of the voxels of a box."""
    at = [np.arange(a, a + n) for a, n in zip(start, shape, strict=True)]
    low = [int(axis[0]) // CELL for axis in at]
    counts = [int(axis[-1]) // CELL - a + 1 for axis, a in zip(at, low, strict=True)]
    cells = np.stack(np.meshgrid(*(np.arange(a, a + n) for a, n in zip(low, counts, strict=True)), indexing="ij"), -1)
    table = centres(cells.reshape(-1, 3)).reshape(cells.shape).astype(np.float32)
    z, y, x = np.ix_(*(axis // CELL - a for axis, a in zip(at, low, strict=True)))
    way = np.moveaxis(table[z, y, x], -1, 0)
    for d, axis in enumerate(np.ix_(*at)):
        way[d] -= axis
    return np.sqrt((way**2).sum(0)), way


def radius(share: int) -> float:
    """Of balls that fill `share` percent."""
    return float((share / 100 * 3 / (4 * pi)) ** (1 / 3) * CELL)


def volume(path: Path, size: int, share: int) -> Path:
    """An OME-Zarr whose voxels are 1 in balls, written once."""
    import zarr

    if (path / "whole").exists():
        return path
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    levels = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": levels}
    array = group.create_array("0", shape=(size,) * 3, chunks=(64,) * 3, dtype="uint8", dimension_names=list("zyx"))
    for z in range(0, size, 64):
        for y in range(0, size, 256):
            box = (min(64, size - z), min(256, size - y), size)
            array[z : z + 64, y : y + 256] = 100 * (balls((z, y, 0), box, 0)[0] <= radius(share)) + 50
    (path / "whole").touch()
    return path


class Ideal:
    """A predictor that knows the balls."""

    def __init__(self, method: str, share: int) -> None:
        self.method, self.radius, self.seen = method, radius(share), 0

    def windows(self, image: Any, scale: Any, windows: Iterable[Any]) -> Iterator[Any]:
        from toolkit.values.prediction import Prediction
        from toolkit.values.tiles import Box

        for window in windows:
            box = window.outer & Box.whole(image.shape)
            distance, way = balls(box.start, box.shape, self.radius)
            heads: dict[str, np.ndarray] = {"foreground": (distance <= self.radius)[None].astype(np.float32)}
            if self.method == "embedseg":
                sigma = self.radius / UNIT / np.sqrt(2 * np.log(2)) * 1.05
                heads = {
                    "offsets": (way / (UNIT - 1)).astype(np.float32),
                    "bandwidth": np.full_like(way, np.log(1 / (2 * sigma**2)) / 10, np.float32),
                    "seediness": np.where(distance <= self.radius, 0.95, 0.0)[None].astype(np.float32),
                }
            self.seen += 1
            yield Prediction(heads, box, window.core, image.shape, image.voxel_size)


def model(folder: Path, method: str) -> Any:
    """A package with the heads of the method; nobody asks its network."""
    from tests.models import load, saved
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.recipe import Recipe
    from toolkit.registry import package

    parts = {"loss": {"kind": "bce_dice"}, "postprocess": {"kind": "threshold"}}
    if method == "embedseg":
        parts = {
            "loss": {"kind": "embedseg:embedseg", "grid": UNIT},
            "postprocess": {"kind": "embedseg:embedseg", "grid": UNIT},
        }
    data = {
        "name": "ideal", "network": {"kind": "unet", "maps": [1, 1], "strides": [1], "units": 0},
        "normalise": {"kind": "none"}, "tiling": {"window": [WINDOW] * 3, "overlap": OVERLAP},
        "training": {"crop": [WINDOW] * 3}, **parts,
    }  # fmt: skip
    recipe = Recipe.parse(data, Catalogue())
    return load(saved(folder / f"model-{method}", recipe, package.network(recipe)))


def case(folder: Path, size: int, method: str, share: int) -> dict[str, Any]:
    """One run, in this process."""
    from toolkit import io
    from toolkit.pipeline.session import Session
    from toolkit.running.options import Options
    from toolkit.running.plan import plan
    from toolkit.running.run import run

    session, ideal = Session(model(folder, method), "cpu"), Ideal(method, share)
    session.__dict__["predictor"] = ideal
    found = io.search([str(folder / f"{size}-{share}.zarr")]).images
    options = Options(folder / f"{method}-{size}-{share}", preview=False, resume=True, overwrite=True)
    ahead = plan(found, session, options)
    ideal.seen = 0
    began = time.process_time()
    outcome = run(found, session, options)
    return {
        "size": size, "method": method, "share": share, "objects": outcome.done[0].objects, "windows": ahead.windows,
        "predicted": ideal.seen, "cpu_s": round(time.process_time() - began, 1), "plan_s": round(ahead.seconds, 1),
        "plan_gb": round(ahead.gigabytes, 2), "plan_disk_gb": round(ahead.disk, 2),
    }  # fmt: skip


def pss(process: int) -> int:
    """Bytes of a process and of those that it started."""
    total = 0
    for path in (Path(f"/proc/{process}"), *(Path(f"/proc/{c}") for c in _children(process))):
        try:
            lines = (path / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except OSError:  # it has just ended
            continue
    return total


def _children(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []


def measured(folder: Path, size: int, method: str, share: int) -> dict[str, Any]:
    """A case in a process of its own, with the most memory that it took."""
    words = [sys.executable, __file__, str(size), "--methods", method, "--shares", str(share), "--folder", str(folder)]
    child = subprocess.Popen([*words, "--here"], stdout=subprocess.PIPE, text=True)
    most = 0
    while child.poll() is None:
        most = max(most, pss(child.pid))
        time.sleep(0.5)
    if child.returncode or child.stdout is None:
        sys.exit(f"{method} {size} {share}: exit code {child.returncode}")
    return {**json.loads(child.stdout.read().splitlines()[-1]), "peak_gb": round(most / 2**30, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--methods", nargs="+", default=["threshold", "embedseg"])
    parser.add_argument("--shares", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--folder", type=Path, default=Path("build/large"))
    parser.add_argument("--here", action="store_true", help="run the case in this process")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.here:
        sys.stdout.write(json.dumps(case(given.folder, given.sizes[0], given.methods[0], given.shares[0])) + "\n")
        return
    record = given.folder / "record.jsonl"
    known = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    for size in [WINDOW, *given.sizes]:  # one window is what everything starts from
        for share in given.shares:
            volume(given.folder / f"{size}-{share}.zarr", size, share)
            for method in given.methods:
                done = next((k for k in known if (k["size"], k["method"], k["share"]) == (size, method, share)), None)
                if done is None:
                    done = measured(given.folder, size, method, share) | {"machine": platform.machine()}
                    with record.open("a") as stream:
                        stream.write(json.dumps(done) + "\n")
                sys.stdout.write(f"{json.dumps(done)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
