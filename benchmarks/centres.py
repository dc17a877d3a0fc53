"""What the medoid and turns at test time bring to EmbedSeg (paper, Table 4), on dsb2018.

    python benchmarks/centres.py train|judge|table [--steps N] [--data FOLDER] [--runs FOLDER]

`train` trains the recipe `embedseg` from scratch once per centre, with equal steps and seed. `judge` tunes the
thresholds of each centre, and of the shipped model, on `val` for each way to average, runs on `test`, and keeps what
came of it in `benchmarks/results/centres.json`. `table` writes the table of docs/embedseg.md from there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from line import seg
from page import with_table

from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve

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


def judge(model: str, way: str, data: Path, scratch: Path) -> dict[str, Any]:
    """Scores of `test` with thresholds from `val`."""
    tuned, out = scratch / "tuned", scratch / "out"
    change = ("--set", f"tiling.augment={way}")
    for folder in (tuned, out):
        shutil.rmtree(folder, ignore_errors=True)
    seg("tune", model, "--data", f"{data}:val", "--trials", "24", "--workers", "1", *change, "-o", str(tuned))
    seg("run", f"{data}:test", "--model", str(tuned), *change, "-o", str(out), "--no-preview", "--json")
    summary = json.loads(seg("evaluate", str(out), f"{data}:test", "--metric", "S", "--json"))["summary"]
    return {key: summary[key]["mean"] for key in KEYS} | {"interval": summary[KEYS[0]]["interval"]}


def judged(data: Path, runs: Path, records: Path) -> list[dict[str, Any]]:
    """What is known of each model and way to average; what the record of these very weights says is not done again."""
    known = json.loads(records.read_text(encoding="utf8")) if records.is_file() else []
    models = {f"{centre}, {done} steps": str(runs / centre) for centre in CENTRES if (done := steps(runs / centre))}
    for name, model in {**models, "medoid, the shipped model": "embedseg"}.items():
        digest = resolve.load(model, Catalogue()).sha256
        known = [row for row in known if row["name"] != name or row["sha256"] == digest]
        for way in WAYS:
            if not any((row["name"], row["way"]) == (name, way) for row in known):
                with tempfile.TemporaryDirectory() as scratch:
                    known.append({"name": name, "way": way, "sha256": digest} | judge(model, way, data, Path(scratch)))
                records.write_text(json.dumps(known, indent=1), encoding="utf8")
    return list(known)


def table(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    head = ("centre in training", "at test time", *KEYS, "95 % interval of S@0.50")
    lines = "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n"
    for row in rows:
        low, high = row["interval"]
        cells = [row["name"], WAYS[row["way"]], *(f"{row[key]:.3f}" for key in KEYS), f"{low:.3f}–{high:.3f}"]
        lines += "| " + " | ".join(cells) + " |\n"
    return lines


def steps(run: Path) -> int:
    """How many steps a finished run was trained for; 0 if it is not finished."""
    record = run / "training.json"
    return int(json.loads(record.read_text(encoding="utf8")).get("steps", 0)) if record.is_file() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "judge", "table"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "centres")
    parser.add_argument("--records", type=Path, default=ROOT / "benchmarks" / "results" / "centres.json")
    said = parser.parse_args()
    if said.what == "table":
        page = ROOT / "docs" / "embedseg.md"
        rows = json.loads(said.records.read_text(encoding="utf8"))
        page.write_text(with_table(page, BEGIN, END, table(rows)), encoding="utf8")
        return
    data = said.data / "dsb2018"
    if not data.is_dir():
        sys.exit(f"no data set: {data}; say --data FOLDER (see docs/data.md)")
    if said.what == "train":
        said.runs.mkdir(parents=True, exist_ok=True)
        train(data, said.runs, said.steps)
    else:
        judged(data, said.runs, said.records)


if __name__ == "__main__":
    main()
