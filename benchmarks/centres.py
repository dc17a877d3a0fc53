"""What the medoid and turns at test time bring to EmbedSeg (paper, Table 4), on dsb2018.

    python benchmarks/centres.py train [--steps N] [--data FOLDER] [--runs FOLDER]
    python benchmarks/centres.py table [--data FOLDER] [--runs FOLDER]

`train` trains the recipe `embedseg` from scratch once per centre, with equal steps and seed. `table` tunes the
thresholds of each centre and each way to average on `val`, runs on `test`, and replaces the table between the markers
in docs/embedseg.md. The shipped model is judged in the same way; a centre that was not trained has no rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from line import seg
from page import halves, with_table

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- centres: python benchmarks/centres.py table -->\n", "<!-- /centres -->\n"
KEYS = ("S@0.50", "S@0.60", "S@0.70", "S@0.80", "S@0.90")
CENTRES = ("centroid", "medoid")
WAYS = {
    "none": "one pass",
    "turns": "8 turns, raw outputs averaged (paper)",
    "turns_after": "8 turns, averaged after activation",
}


def train(data: Path, runs: Path, steps: int) -> None:
    """One run for each centre; one that was stopped goes on."""
    for centre in CENTRES:
        begun = ["--resume"] if (runs / centre).exists() else []
        seg("train", "--recipe", "embedseg", "--data", str(data), "-o", str(runs / centre), "--threads", "1", "--steps",
            str(steps), "--set", f"loss.centre={centre}", "--set", "training.validations=4", *begun)  # fmt: skip


def row(name: str, model: str, way: str, data: Path, scratch: Path) -> str:
    """Thresholds from `val`, scores of `test`."""
    tuned, out = scratch / f"{name}-{way}", scratch / f"{name}-{way}-out"
    change = ("--set", f"tiling.augment={way}")
    seg("tune", model, "--data", f"{data}:val", "--trials", "24", "--workers", "1", *change, "-o", str(tuned))
    seg("run", f"{data}:test", "--model", str(tuned), *change, "-o", str(out), "--no-preview", "--json")
    summary = json.loads(seg("evaluate", str(out), f"{data}:test", "--metric", "S", "--json"))["summary"]
    low, high = summary[KEYS[0]]["interval"]
    cells = [name, WAYS[way], *(f"{summary[key]['mean']:.3f}" for key in KEYS), f"{low:.3f}–{high:.3f}"]
    return "| " + " | ".join(cells) + " |\n"


def table(data: Path, runs: Path) -> str:
    """The table as Markdown."""
    head = ("centre in training", "at test time", *KEYS, "95 % interval of S@0.50")
    lines = "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n"
    models = {f"{centre}, {done} steps": str(runs / centre) for centre in CENTRES if (done := steps(runs / centre))}
    with tempfile.TemporaryDirectory() as scratch:
        for name, model in {**models, "medoid, the shipped model": "embedseg"}.items():
            for way in WAYS:
                lines += row(name, model, way, data, Path(scratch))
                sys.stdout.write(lines.splitlines()[-1] + "\n")
                sys.stdout.flush()
    return lines


def steps(run: Path) -> int:
    """How many steps a finished run was trained for; 0 if it is not finished."""
    record = run / "training.json"
    return int(json.loads(record.read_text(encoding="utf8")).get("steps", 0)) if record.is_file() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "table"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "centres")
    said = parser.parse_args()
    data, page = said.data / "dsb2018", ROOT / "docs" / "embedseg.md"
    if not data.is_dir():
        sys.exit(f"no data set: {data}; say --data FOLDER (see docs/data.md)")
    if said.what == "train":
        said.runs.mkdir(parents=True, exist_ok=True)
        train(data, said.runs, said.steps)
        return
    halves(page, BEGIN, END)
    page.write_text(with_table(page, BEGIN, END, table(data, said.runs)), encoding="utf8")


if __name__ == "__main__":
    main()
