"""How long a large result takes to be looked at, and to be written for other programs.

    python -m benchmarks.view [SIDE] [OBJECTS]

An image of SIDE² pixels (30 000) with OBJECTS discs that overlap (100 000), served and moved over in Chromium; then
350 000 smaller ones as GeoJSON and as regions of ImageJ.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import tifffile
import zarr

from tests.browser import Browser, browser
from toolkit.exchange.geojson import write_geojson
from toolkit.exchange.rois import write_rois
from toolkit.io.table import write_csv
from toolkit.io.zarrinstances import write_zarr_instances
from toolkit.values.instances import Instances
from toolkit.view.found import results
from toolkit.view.scene import scene
from toolkit.view.serve import served

PAN = """(async () => { const times = []; let last = performance.now(); for (let k = 0; k < 60; k++) { pan(0, 9, -13);
await new Promise(requestAnimationFrame); const now = performance.now(); times.push(now - last); last = now; }
times.sort((a, b) => a - b); return [times[30], times[57], times[59]]; })()"""
TIMED = "(() => {{ const began = performance.now(); {}; return performance.now() - began; }})()"


def discs(side: int, count: int, radius: tuple[float, float]) -> tuple[Instances, dict[str, np.ndarray]]:
    """Discs on a disturbed grid, and a table of them."""
    rng, grid = np.random.default_rng(0), int(np.ceil(np.sqrt(count)))
    cell = side / grid
    place = (np.stack(np.divmod(np.arange(count), grid)) + 0.5) * cell + rng.uniform(-0.1, 0.1, (2, count)) * cell
    size = rng.uniform(*radius, count)
    y = np.rint(place[0])[:, None].astype(np.int64) + np.arange(-int(radius[1]), int(radius[1]) + 1)
    square = size[:, None] ** 2 - (y - place[0][:, None]) ** 2
    half = np.sqrt(np.maximum(square, 0))
    low = np.ceil(np.maximum(place[1][:, None] - half, 0)).astype(np.int64)
    high = np.floor(np.minimum(place[1][:, None] + half, side - 1)).astype(np.int64) + 1
    some = (square > 0) & (y >= 0) & (y < side) & (high > low)
    owner = np.broadcast_to(np.arange(count)[:, None], y.shape)[some]
    found = Instances.from_runs(
        (side, side), (y * side + low)[some], (high - low)[some], owner, rng.uniform(0.2, 1, count)
    )
    table = {"id": np.arange(1, len(found) + 1), "score": found.scores, "area_px": found.sizes,
             "centroid_y": found.centroids[:, 0], "centroid_x": found.centroids[:, 1]}  # fmt: skip
    return found, table


def result(folder: Path, side: int, count: int) -> Path:
    """The folder of a run, but for what nobody looks at."""
    rows = np.random.default_rng(0).poisson(200, (500, side)).astype(np.uint16)
    image = tifffile.memmap(folder / "large.tif", shape=(side, side), dtype=np.uint16, bigtiff=True)
    for low in range(0, side, 500):
        image[low : low + 500] = rows[: min(500, side - low)] + np.uint16(low // 100)
    image.flush()
    objects, table = discs(side, count, (0.2 * side / np.sqrt(count), 0.5 * side / np.sqrt(count)))
    out = folder / "large.seg"
    out.mkdir()
    write_zarr_instances(zarr.create_group(out / "large.zarr").create_group("instances"), objects, None)
    write_csv(out / "large.objects.csv", table)
    image_of = {"input": str(folder / "large.tif"), "files": ["large.zarr", "large.objects.csv"]}
    record = {"recipe": {"name": "discs"}, "options": {"axes": None, "voxel_size": None}, "images": [image_of]}
    (out / "run.json").write_text(json.dumps(record))
    print(f"{len(objects)} objects in {side}², {int(objects.layer_of.max()) + 1} layers")
    return out


def looked_at(tab: Browser, address: str) -> None:
    began = time.perf_counter()
    tab.open(address)
    paint = tab.run("performance.getEntriesByName('first-paint')[0].startTime")
    tab.settle()
    print(f"first paint {paint:.0f} ms, all there {time.perf_counter() - began:.1f} s")
    for presses in (0, 6, 8):
        for _ in range(presses):
            tab.press("+")
        tab.settle()
        median, most, worst = tab.run(PAN)
        scale = tab.run("view.scale")
        print(
            f"{scale:.3g} pixels per voxel, frames of a pan: median {median:.0f} ms, 95 % {most:.0f}, all {worst:.0f}"
        )
    for what, script in (("sorting", "sides[0].sort = { name: 'score', down: true }; order(sides[0])"),
                         ("a filter", "limit(sides[0], 'score', { low: 0.5, high: 1 })")):  # fmt: skip
        print(f"{what} takes {tab.run(TIMED.format(script)):.0f} ms")


def main(side: int = 30_000, count: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = result(folder, side, count)
        cpu, began = time.process_time(), time.perf_counter()
        seen = scene(results(out)[0])
        seen.about()
        print(f"opened in {time.process_time() - cpu:.1f} s of CPU time, {time.perf_counter() - began:.1f} s")
        with served(seen) as (server, address), browser(folder / "profile") as tab:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            looked_at(tab, address)
            server.shutdown()
        objects, table = discs(13_000, 350_000, (6, 12))
        write_geojson(folder / "warm.geojson", objects.select(np.arange(3)), {n: c[:3] for n, c in table.items()})
        for name, write in (("GeoJSON", lambda path: write_geojson(path, objects, table)),
                            ("regions", lambda path: write_rois(path, objects))):  # fmt: skip
            cpu = time.process_time()
            write(folder / name)
            size = (folder / name).stat().st_size / 1e6
            print(f"{len(objects)} objects as {name}: {time.process_time() - cpu:.1f} s of CPU time, {size:.0f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
