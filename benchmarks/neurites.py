"""The table of isbi2012: PatchPerPix beside the mutex watersheds of all its patch values and of far affinities.

    python benchmarks/neurites.py --ppp RUN --affinities RUN [--data FOLDER] [--trials N]

The runs are those of `seg train --recipe ppp-isbi2012` and `seg train --recipe affinities-isbi2012`; they are left as
they are. Each row is `seg tune` of one or two thresholds on `val` for rRAND, then `seg run` and `seg evaluate --metric
ISBI` on `test`. The table replaces the one between the markers in docs/patchperpix.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from line import seg
from page import halves, with_table

ROOT = Path(__file__).resolve().parents[1]
DATA = "isbi2012"
BEGIN, END = "<!-- neurites: python benchmarks/neurites.py -->\n", "<!-- /neurites -->\n"
KEYS = ("rRAND", "rINF")


@dataclass(frozen=True)
class Row:
    """A method: the run that it needs, what it tunes, and its post-processor if that is not the run's."""

    name: str
    run: str
    fields: tuple[str, ...]
    kind: str | None = None


ROWS = (
    Row("PatchPerPix", "ppp", ("threshold", "foreground")),
    Row("mutex watershed of all patch values (MWS-dense)", "ppp", ("foreground",), "ppp_mws_dense"),
    Row("mutex watershed of 17 affinities", "affinities", ("bias", "foreground")),
)


def changes(row: Row, run: Path) -> list[str]:
    """`--set` for the row's post-processor, with the patch and the least size of the run's own."""
    if row.kind is None:
        return []
    own = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf8"))["postprocess"]
    return ["--set", f"postprocess={{kind: {row.kind}, patch: {own['patch']}, min_size: {own['min_size']}}}"]


def judge(row: Row, run: Path, data: Path, scratch: Path, trials: int) -> dict[str, Any]:
    """Tune on `val`, judge on `test`: scores, thresholds found, steps of the training."""
    tuned, out, one = scratch / "tuned", scratch / "out", ("--workers", "1")
    only = [part for field in row.fields for part in ("--only", field)]
    found = json.loads(
        seg("tune", str(run), "--data", f"{data}:val", "--metric", "rRAND", "--trials", str(trials * len(row.fields)),
            *only, *changes(row, run), *one, "-o", str(tuned), "--json")
    )  # fmt: skip
    seg("run", f"{data}:test", "--model", str(tuned), "-o", str(out), *one, "--no-preview")
    summary = json.loads(seg("evaluate", str(out), f"{data}:test", "--metric", "ISBI", "--json"))["summary"]
    steps = json.loads((run / "training.json").read_text(encoding="utf8")).get("steps")
    return {"name": row.name, "tuned": found["best"], "steps": steps, **{key: summary[key]["mean"] for key in KEYS}}


def table(judged: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [f"| method | steps | tuned | {' | '.join(KEYS)} |", "|---|---|---|" + "---|" * len(KEYS)]
    for row in judged:
        thresholds = ", ".join(f"{name} {value:.3g}" for name, value in row["tuned"].items())
        scores = " | ".join(f"{row[key]:.3f}" for key in KEYS)
        lines.append(f"| {row['name']} | {row['steps'] or '–'} | {thresholds} | {scores} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ppp", type=Path, required=True, metavar="RUN", help="training of ppp-isbi2012")
    parser.add_argument("--affinities", type=Path, required=True, metavar="RUN", help="of affinities-isbi2012")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--trials", type=int, default=6, help="settings tried on val for each threshold")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "patchperpix.md", help="where the table belongs")
    said = parser.parse_args()
    data = said.data / DATA
    if not data.is_dir():
        sys.exit(f"no data set: {data}; say --data FOLDER (see docs/data.md)")
    for run in (said.ppp, said.affinities):
        if not (run / "training.json").is_file():
            sys.exit(f"no folder of a training: {run}; say that of seg train -o")
    halves(said.page, BEGIN, END)
    judged = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as scratch:
            judged.append(judge(row, getattr(said, row.run), data, Path(scratch), said.trials))
        sys.stdout.write(table(judged).splitlines()[-1] + "\n")
        sys.stdout.flush()
    said.page.write_text(with_table(said.page, BEGIN, END, table(judged)), encoding="utf8")


if __name__ == "__main__":
    main()
