"""Train, tune and judge the cells of the auxiliary-task tables, through the command line, one process at a time.

    python benchmarks/models/auxiliary.py train [--data FOLDER] [--runs FOLDER] [--table 2d|3d] [--steps N]

Every cell of a table has the same network, data, steps and augmentation; only loss, auxiliary task and post-processor
differ. A run that is finished is left alone, one that was stopped goes on. `RUNS/<cell>-<seed>` is a run of
`seg train`; `RUNS/<cell>-<seed>.json` says what came of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Table:
    """What the cells of a table share."""

    data: str
    network: str
    cells: tuple[str, ...]
    """Names of recipes of the plugin cpv; those of 3-D end in `-3d`."""
    seeds: tuple[int, ...]
    steps: int


TABLES = {
    "2d": Table(
        "dsb2018",
        # The paper's U-Net in a size for CPUs.
        "{kind: cpv_unet, maps: 16, growth: 2, levels: 4, norm: batch}",
        ("three-label", "three-label-cpv", "sdt", "sdt-cpv", "affinities", "affinities-cpv", "gauss"),
        (0, 1, 2),
        550,
    ),
    "3d": Table(
        "bbbc050",
        "{kind: cpv_unet, maps: 16, growth: 2, levels: 3, norm: batch, pooling: [[1, 2, 2], [2, 2, 2]]}",
        ("three-label-3d", "three-label-cpv-3d", "sdt-3d", "sdt-cpv-3d"),
        (0,),
        550,
    ),
}


def seg(*arguments: str) -> str:
    """Run `seg` of this environment; its progress goes to stderr, its stdout is returned."""
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.cli", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"seg {' '.join(arguments)}: exit code {done.returncode}")
    return done.stdout


def read(path: Path) -> dict[str, object]:
    """What is known of a run."""
    return dict(json.loads(path.read_text(encoding="utf8"))) if path.is_file() else {}


def keep(path: Path, known: dict[str, object]) -> None:
    """Write what is known of a run, as a whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(known, indent=1), encoding="utf8")
    draft.replace(path)


def train(table: Table, cell: str, seed: int, data: Path, runs: Path, steps: int) -> None:
    """Train a cell with a seed, unless that is done."""
    run, record = runs / f"{cell}-{seed}", runs / f"{cell}-{seed}.json"
    known = read(record)
    if known.get("steps") == steps:
        return
    began = time.monotonic()
    common = ("--data", str(data / table.data), "-o", str(run), "--threads", "1", "--resume")
    if (run / "last.safetensors").is_file():
        seg("train", *common)
    else:
        changes = [f"network={table.network}", f"training.seed={seed}"]
        sets = [part for change in changes for part in ("--set", change)]
        seg("train", "--plugin", "cpv", "--recipe", f"cpv:{cell}", *common, "--steps", str(steps), *sets)
    keep(record, {**known, "cell": cell, "seed": seed, "steps": steps, "seconds": round(time.monotonic() - began)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("train",))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "auxiliary", help="folder of the runs")
    parser.add_argument("--table", choices=sorted(TABLES), default="2d")
    parser.add_argument("--steps", type=int, help="steps of each run, the same for all [default: the table's]")
    parser.add_argument("--cells", nargs="+", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these")
    said = parser.parse_args()
    table = TABLES[said.table]
    if not (said.data / table.data).is_dir():
        sys.exit(f"no data set: {said.data / table.data}; say --data FOLDER (see docs/data.md)")
    said.runs.mkdir(parents=True, exist_ok=True)
    for seed in said.seeds or table.seeds:
        for cell in said.cells or table.cells:
            train(table, cell, seed, said.data, said.runs, said.steps or table.steps)


if __name__ == "__main__":
    main()
