"""Train, tune and judge the cells of the auxiliary-task tables, through the command line, one process at a time.

    python benchmarks/auxiliary.py train|judge|all|table [--table 2d|3d] [--data FOLDER] [--runs FOLDER] …

Every cell of a table has the same network, data, steps and augmentation; only loss, auxiliary task and post-processor
differ. `train` leaves a run that is finished alone and goes on with one that was stopped: `RUNS/<cell>-<seed>` is a run
of `seg train`. `judge` tunes each finished run on `val` and evaluates it on `test`; `RECORDS/<cell>-<seed>.json` says
what came of it, and what it says is not done again: remove a record to do its cell anew. `table` writes the tables of
`docs/auxiliary.md` from these files, and needs no run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auxiliary_table import write
from line import seg

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "results" / "auxiliary"
TRIALS = 30
"""Settings of two thresholds that are tried on `val`."""
VALIDATIONS = 4
"""Of a training: with thresholds that drift, each costs as much as tens of steps."""
METRICS = ("S@.1:.1:.9", "detection")


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
        500,
    ),
    "3d": Table(
        "bbbc050",
        "{kind: cpv_unet, maps: 16, growth: 2, levels: 3, norm: batch, pooling: [[1, 2, 2], [2, 2, 2]]}",
        ("three-label-3d", "three-label-cpv-3d", "sdt-3d", "sdt-cpv-3d"),
        (0,),
        500,
    ),
}


@dataclass(frozen=True)
class Judgement:
    """How a run is tuned before it is evaluated."""

    tuned_for: str
    """`S@0.50` or `AP_det`."""
    seeds: str = "main"

    @property
    def name(self) -> str:
        return f"{self.tuned_for} {self.seeds}"

    def arguments(self) -> list[str]:
        """Those of `seg tune`: one threshold for seeds, one for the foreground."""
        if self.seeds == "points":
            fields = ("threshold", "distance")
        else:
            fields = ("seed" if self.seeds == "main" else "votes", "foreground")
        only = [part for field in fields for part in ("--only", field)]
        held = ["--set", "postprocess.seeds=votes"] if self.seeds == "votes" else []
        return ["--metric", self.tuned_for, "--trials", str(TRIALS), *only, *held]


def judgements(cell: str) -> Iterator[Judgement]:
    """The paper's Tables 1 to 3: tuned for segmentation or detection, seeds from the main head or from the votes."""
    if cell.startswith("gauss"):
        yield Judgement("AP_det", "points")
        return
    for seeds in ("main", "votes") if "-cpv" in cell else ("main",):
        for value in ("S@0.50", "AP_det"):
            yield Judgement(value, seeds)


def read(path: Path) -> dict[str, Any]:
    """What is known of a run."""
    return dict(json.loads(path.read_text(encoding="utf8"))) if path.is_file() else {}


def keep(path: Path, known: dict[str, Any]) -> None:
    """Write what is known of a run, as a whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(known, indent=1), encoding="utf8")
    draft.replace(path)


def train(table: Table, cell: str, seed: int, said: argparse.Namespace) -> None:
    """Train a cell with a seed, unless that is done."""
    run, record = said.runs / f"{cell}-{seed}", said.records / f"{cell}-{seed}.json"
    known, steps = read(record), said.steps or table.steps
    if known.get("steps", steps) != steps:
        sys.exit(f"{record} is of {known['steps']} steps, not {steps}: remove it and {run}")
    if "steps" in known:
        return
    began = time.monotonic()
    common = ("--data", str(said.data / table.data), "-o", str(run), "--threads", "1", "--resume")
    if (run / "last.safetensors").is_file():
        seg("train", *common)
    else:
        changes = [f"network={table.network}", f"training.seed={seed}", f"training.validations={VALIDATIONS}"]
        sets = [part for change in changes for part in ("--set", change)]
        seg("train", "--plugin", "cpv", "--recipe", f"cpv:{cell}", *common, "--steps", str(steps), *sets)
    done = read(run / "training.json").get("steps")
    if done != steps:
        sys.exit(f"{run} has {done} steps, not {steps}: remove it")
    keep(record, {**known, "cell": cell, "seed": seed, "steps": steps, "seconds": round(time.monotonic() - began)})


def judge(table: Table, cell: str, seed: int, said: argparse.Namespace) -> None:
    """Tune a finished run on `val` and evaluate it on `test`, in each way that is not known yet."""
    run, record = said.runs / f"{cell}-{seed}", said.records / f"{cell}-{seed}.json"
    known, data = read(record), said.data / table.data
    if "steps" not in known:
        return
    for how in judgements(cell):
        if how.name in known.get("test", {}):
            continue
        tuned, out = run / "tuned", run / "test.seg"
        for folder in (tuned, out):
            shutil.rmtree(folder, ignore_errors=True)
        one = ("--workers", "1")
        found = json.loads(
            seg("tune", str(run), "--data", f"{data}:val", *how.arguments(), *one, "-o", str(tuned), "--json")
        )
        seg("run", f"{data}:test", "--model", str(tuned), "-o", str(out), *one, "--no-preview")
        metrics = [part for metric in METRICS for part in ("--metric", metric)]
        summary = json.loads(seg("evaluate", str(out), f"{data}:test", *metrics, "--json"))["summary"]
        values = {name: value["mean"] for name, value in summary.items()}
        entry = {"val": found["after"], "postprocess": found["best"], **values}
        known = {**known, "test": {**known.get("test", {}), how.name: entry}}
        keep(record, known)
        for folder in (tuned, out):
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("train", "judge", "all", "table"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "auxiliary", help="folder of the runs")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of what came of the runs")
    parser.add_argument("--table", choices=sorted(TABLES), default="2d")
    parser.add_argument("--steps", type=int, help="steps of each run, the same for all [default: the table's]")
    parser.add_argument("--cells", nargs="+", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "auxiliary.md", help="where the tables belong")
    said = parser.parse_args()
    table = TABLES[said.table]
    if said.verb != "table":
        if not (said.data / table.data).is_dir():
            sys.exit(f"no data set: {said.data / table.data}; say --data FOLDER (see docs/data.md)")
        for folder in (said.runs, said.records):
            folder.mkdir(parents=True, exist_ok=True)
        for seed in said.seeds or table.seeds:
            for cell in said.cells or table.cells:
                if said.verb in ("train", "all"):
                    train(table, cell, seed, said)
                if said.verb in ("judge", "all"):
                    judge(table, cell, seed, said)
    if said.verb in ("table", "all"):
        for name, one in TABLES.items():
            write(said.page, name, one.cells, [read(path) for path in sorted(said.records.glob("*.json"))])


if __name__ == "__main__":
    main()
