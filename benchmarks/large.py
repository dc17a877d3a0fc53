"""Memory and time of large volumes, with a network that costs nothing: its heads are those of a volume of balls.

    python benchmarks/large.py 256 512 --methods threshold embedseg --shares 10 30 --block 128

A cell of 60³ voxels holds one ball (4 913 in 1024³). Each case is a run in a process of its own, whose memory (PSS, of
all its processes) is read twice a second; one that was killed goes on with what it had, one that is in the record is
not run again. Printed at the end: how much more a volume takes than one of half its side, above a run of one window.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.large_balls import METHODS, WINDOW, Ideal, model, radius, volume
from benchmarks.memory import family, pss

KEY = ("size", "method", "share", "block", "workers")


def case(folder: Path, size: int, method: str, share: int, block: int | None) -> dict[str, Any]:
    """One run, in this process."""
    from toolkit import io
    from toolkit.pipeline.elsewhere import Bench
    from toolkit.pipeline.heard import listening
    from toolkit.pipeline.session import Session
    from toolkit.running.options import Options
    from toolkit.running.plan import plan
    from toolkit.running.run import run

    session, ideal = Session(model(folder, method), "cpu"), Ideal(method, share)
    session.__dict__["predictor"] = ideal
    bench = Bench(session)
    found = io.search([str(folder / f"{size}-{share}.zarr")]).images
    out = folder / f"{method}-{size}-{share}-{block}"
    options = Options(out, block=block, preview=False, resume=True, overwrite=True)
    ahead = plan(found, bench, options)
    ideal.seen = 0
    began, stages, last = time.process_time(), {}, ["begin"]

    def heard(stage: str, done: int, total: int) -> None:
        now = time.process_time() - began
        stages[last[0]] = round(stages.get(last[0], 0.0) + now - sum(stages.values()), 2)
        last[0] = stage
        (folder / "stage").write_text(stage)

    with listening(heard):
        outcome = run(found, bench, options)
    heard("end", 0, 0)
    return {
        "size": size, "method": method, "share": share, "block": block, "objects": outcome.done[0].objects,
        "windows": ahead.windows, "predicted": ideal.seen, "cpu_s": round(time.process_time() - began, 1),
        "stages_s": stages, "plan_s": round(ahead.seconds, 1), "plan_gb": round(ahead.gigabytes, 2),
        "plan_disk_gb": round(ahead.disk, 2),
    }  # fmt: skip


def measured(folder: Path, size: int, method: str, share: int, block: int | None) -> dict[str, Any]:
    """A case in a process of its own, with the most memory that it took, in all and in each stage."""
    words = [sys.executable, __file__, str(size), "--methods", method, "--shares", str(share), "--folder", str(folder)]
    words += ["--block", str(block)] if block else []
    child = subprocess.Popen([*words, "--here"], stdout=subprocess.PIPE, text=True)
    most: dict[str, float] = {}
    stage = folder / "stage"
    stage.write_text("begin")
    while child.poll() is None:
        name = stage.read_text()
        most[name] = max(most.get(name, 0), round(sum(map(pss, family(child.pid))) / 2**30, 3))
        time.sleep(0.3)
    if child.returncode or child.stdout is None:
        sys.exit(f"{method} {size} {share}: exit code {child.returncode}")
    return {**json.loads(child.stdout.read().splitlines()[-1]), "peak_gb": max(most.values()), "peaks_gb": most}


def growth(records: list[dict[str, Any]]) -> list[str]:
    """How much more memory than half the side takes a volume, above that of one window."""
    peak = {tuple(r.get(k) for k in KEY): r["peak_gb"] for r in records}
    lines = []
    for key, gb in peak.items():
        half, base = (peak.get((n, *key[1:])) for n in (key[0] // 2, WINDOW))
        if half and base and key[0] // 2 > WINDOW:
            lines.append(f"{key[1]} {key[0]}³ {key[2]} %: {(gb - base) / max(half - base, 1e-3):.2f} × {key[0] // 2}³")
    return lines


def voxels(record: dict[str, Any]) -> float:
    """Voxels of foreground."""
    return record["size"] ** 3 * 4 / 3 * 3.14159 * radius(record["share"]) ** 3 / 60**3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--methods", nargs="+", default=["threshold", "sdt", "embedseg"], choices=METHODS)
    parser.add_argument("--shares", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--block", type=int)
    parser.add_argument("--folder", type=Path, default=Path("build/large"))
    parser.add_argument("--here", action="store_true", help="run the case in this process")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.here:
        made = case(given.folder, given.sizes[0], given.methods[0], given.shares[0], given.block)
        sys.stdout.write(json.dumps(made) + "\n")
        return
    record = given.folder / "record.jsonl"
    known = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    shown = []
    for size in [WINDOW, *given.sizes]:  # one window is what everything starts from
        for share in given.shares:
            volume(given.folder / f"{size}-{share}.zarr", size, share)
            for method in given.methods:
                key = (size, method, share, given.block)
                done = next((k for k in known if tuple(k.get(n) for n in KEY[:4]) == key), None)
                if done is None:
                    done = measured(given.folder, *key) | {"machine": platform.machine()}
                    with record.open("a") as stream:
                        stream.write(json.dumps(done) + "\n")
                shown.append(done)
                sys.stdout.write(f"{json.dumps(done)}\n")
                sys.stdout.flush()
    sys.stdout.write("\n".join(growth(shown)) + "\n")


if __name__ == "__main__":
    main()
