"""Train and judge the cells of the table of sparse annotation, through the command line, one process at a time.

    python benchmarks/sparse.py all|table [--data FOLDER] [--runs FOLDER] [--cells NAME…]

Every cell has the same network and the same budget: so many CPU seconds of one thread in steps of the training,
whatever a step costs. What steps cost is measured once, each phase of each way of teaching by itself, and from that
follows how many steps a cell may take. Choosing thresholds and weights on `val`, of which half is looked at, is the
same work for all cells and comes on top. The cells of `CURVE` are some of them with a larger budget, by which their
names end: what more steps are worth to each way of teaching. A cell that has a record is not done again, a run that was
stopped goes on; cells come in the order of `CELLS`, the most telling first, then those of `CURVE`. `table` writes
docs/sparse.md from the records.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from line import seg
from sparse_block import block
from sparse_pace import measured
from sparse_table import write

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "results" / "sparse"
BUDGET = 960
"""CPU seconds of training steps. With a quarter of them nobody has learnt enough for what is annotated to matter."""
VAL = 2
"""Every so many images of `val` are looked at: ten images chose thresholds that fitted no others."""
TIMES = {"none": (0.5, 0.5), "ungated": (0.5, 0.5), "entropy": (0.5, 0.5), "full": (0.4, 0.2, 0.4), "spoco": (1.0,)}
"""Shares of the budget of the phases."""
OTHERS = {"spoco": "cac:spoco"}
"""Recipes of other methods, which have the same network; all else is `loss.teaching` of the data's recipe."""
PLANE = ("network.maps=[12,16,24,32]", "training.batch=2", "training.crop=[128,128]")
VOLUME = ("network.maps=[12,16,24]",)
DATA = {
    "dsb2018": ("cac:cac", PLANE, ("S@.5:.1:.9", "VOI", "ARAND")),
    "bbbc039": ("cac:cac", PLANE, ("S@.5:.1:.9", "VOI", "ARAND")),
    "fib25": ("cac:cac-isotropic", VOLUME, ("S@.5:.1:.9", "VOI", "ARAND")),
}
"""Recipe, what is smaller in it, and what is measured on `test`."""


@dataclass(frozen=True)
class Cell:
    """`order`: which objects are annotated; `dense` all of them, `block` all in a block of as many annotated voxels."""

    data: str
    percent: int
    order: str
    seed: int
    teaching: str
    budget: int = BUDGET

    @property
    def recipe(self) -> str:
        return OTHERS.get(self.teaching, DATA[self.data][0])

    @property
    def changes(self) -> tuple[str, ...]:
        """Those of its recipe, which hold for all seeds."""
        return DATA[self.data][1] + (() if self.teaching in OTHERS else (f"loss.teaching={self.teaching}",))

    @property
    def name(self) -> str:
        longer = "" if self.budget == BUDGET else f"-{self.budget}s"
        return f"{self.data}-{self.source}-{self.teaching}{longer}"

    @property
    def source(self) -> str:
        """What it learns from."""
        return f"{self.order}-{self.seed}" if self.order == "dense" else f"{self.percent}-{self.order}-{self.seed}"


def _cells() -> list[Cell]:
    ten = [Cell("dsb2018", 10, "random", 0, way) for way in ("none", "full")]
    ten += [Cell("dsb2018", 100, "dense", 0, "none")]
    ten += [Cell("dsb2018", 10, "random", 0, way) for way in ("entropy", "ungated")]
    ten += [Cell("dsb2018", 10, "block", 0, "none")]
    ten += [Cell("dsb2018", 10, order, 0, "full") for order in ("small", "large")]
    for seed in (1, 2):
        ten += [Cell("dsb2018", 10, "random", seed, way) for way in ("none", "full", "entropy", "ungated")]
        ten += [Cell("dsb2018", 100, "dense", seed, "none")]
        ten += [Cell("dsb2018", 10, order, seed, "full") for order in ("small", "large")]
    ten += [Cell("dsb2018", 10, "random", seed, "spoco") for seed in (0, 1, 2)]
    rest = [Cell("dsb2018", p, "random", s, w) for p in (5, 20) for s in (0, 1, 2) for w in ("none", "full")]
    for data in ("fib25", "bbbc039"):
        rest += [Cell(data, 10, "random", 0, way) for way in ("none", "full")]
        rest += [Cell(data, 100, "dense", 0, "none"), Cell(data, 10, "block", 0, "none")]
    return ten + rest


CELLS = _cells()
CURVE = [
    Cell("fib25", p, o, 0, w, 4 * BUDGET)
    for p, o, w in ((10, "random", "full"), (10, "random", "none"), (100, "dense", "none"))
]


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf8"))) if path.is_file() else {}


def keep(path: Path, known: dict[str, Any]) -> None:
    """Write a record, as a whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(known, indent=1) + "\n", encoding="utf8")
    draft.replace(path)


def prepared(cell: Cell, said: argparse.Namespace) -> Path:
    """The folder of what a cell learns from, with a part of `val`."""
    folder, origin = said.runs / "data" / f"{cell.data}-{cell.source}", said.data / cell.data
    if folder.is_dir():
        return folder
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    if cell.order == "dense":
        shutil.copytree(origin, draft)
    elif cell.order == "block":
        block(origin, cell.percent / 100, cell.seed, draft)
    else:
        how = f"fraction={cell.percent / 100},order={cell.order},seed={cell.seed}"
        seg("check", str(origin), "--sparsify", how, "-o", str(draft))
    splits = read(draft / "splits.json")
    splits["val"] = splits["val"][::VAL]
    (draft / "splits.json").chmod(0o644)
    (draft / "splits.json").write_text(json.dumps(splits), encoding="utf8")
    draft.rename(folder)
    return folder


def paced(cell: Cell, record: Path) -> list[float]:
    """What a step of each phase costs: measured once, and the same for all cells of one recipe and teaching."""
    known, recipe = read(record), DATA[cell.data][0]
    if cell.teaching not in known.get(recipe, {}):
        found = measured(cell.recipe, cell.changes)
        keep(record, known := {**known, recipe: {**known.get(recipe, {}), cell.teaching: found}})
    return [float(cost) for cost in known[recipe][cell.teaching]]


def steps(cell: Cell, said: argparse.Namespace) -> list[int]:
    """Of each phase, within the budget."""
    pace = paced(cell, said.records / "pace.json")
    return [max(1, round(cell.budget * part / cost)) for part, cost in zip(TIMES[cell.teaching], pace, strict=True)]


def do(cell: Cell, said: argparse.Namespace) -> None:
    """Train, tune and judge a cell."""
    record, run = said.records / f"{cell.name}.json", said.runs / cell.name
    if record.is_file():
        return
    metrics = DATA[cell.data][2]
    data, counts, began = prepared(cell, said), steps(cell, said), seconds()
    common = ("--data", str(data), "-o", str(run), "--threads", "1", "--resume")
    if (run / "last.safetensors").is_file():
        seg("train", *common)
    else:
        changes = [*cell.changes, f"training.seed={cell.seed}", "training.validations=1"]
        if len(counts) > 1:
            changes.append(f"loss.shares={counts if len(counts) == 3 else [counts[0], 1, counts[1]]}")
        sets = [part for change in changes for part in ("--set", change)]
        seg("train", "--recipe", cell.recipe, *common, "--steps", str(sum(counts)), *sets)
    trained, out = seconds(), said.runs / f"{cell.name}.seg"
    shutil.rmtree(out, ignore_errors=True)
    origin = f"{said.data / cell.data}:test"
    seg("run", origin, "--model", str(run), "-o", str(out), "--workers", "1", "--no-preview")
    asked = [part for metric in metrics for part in ("--metric", metric)]
    summary = json.loads(seg("evaluate", str(out), origin, *asked, "--json"))["summary"]
    shutil.rmtree(out)
    about = {"cell": cell.name, **vars(cell), "budget_cpu_seconds": cell.budget, "steps": counts}
    about |= {"cpu_seconds": {"train and tune": round(trained - began), "test": round(seconds() - trained)}}
    keep(record, {**about, "test": {name: value["mean"] for name, value in summary.items()}})


def seconds() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("all", "table"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "sparse", help="folder of the runs")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of what came of the runs")
    parser.add_argument("--cells", nargs="+", help="only these")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "sparse.md", help="where the table belongs")
    said = parser.parse_args()
    for folder in (said.runs, said.records):
        folder.mkdir(parents=True, exist_ok=True)
    if said.verb == "all":
        for cell in CELLS + CURVE:
            if not said.cells or cell.name in said.cells:
                if not (said.data / cell.data).is_dir():
                    sys.exit(f"no data set: {said.data / cell.data}; say --data FOLDER (see docs/data.md)")
                do(cell, said)
    tables = {BUDGET: [cell.name for cell in CELLS], 4 * BUDGET: [cell.name for cell in CURVE]}
    write(said.page, tables, said.records)


if __name__ == "__main__":
    main()
