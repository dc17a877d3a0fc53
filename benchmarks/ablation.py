"""The ablation table of PatchPerPix on bbbc010 (paper, Table 2): one network, its assembly without single steps.

    python benchmarks/ablation.py [--data FOLDER] [--model RECIPE]

Each row is `seg run bbbc010:test --model RECIPE --set …`, then `seg evaluate`; thresholds were tuned on `val` with
the full assembly. The table replaces the one between the markers in docs/patchperpix.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from line import seg
from page import halves, with_table

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- ablation: python benchmarks/ablation.py -->\n", "<!-- /ablation -->\n"
KEYS = ("avS@.5:.05:.95", "S@0.50", "S@0.60", "S@0.70", "S@0.80", "S@0.90")
ROWS = (
    ("mutex watershed of all patch values (MWS-dense)", ("postprocess={kind: ppp_mws_dense, patch: [25, 25]}",)),
    ("without selection", ("postprocess.select=false",)),
    ("without thin-out", ("postprocess.thin=false",)),
    ("connected components", ("postprocess.partition=components",)),
    ("full", ()),
)


def row(name: str, changes: tuple[str, ...], model: Path, data: str, scratch: Path) -> str:
    """One line of the table."""
    out = scratch / str(abs(hash(name)))
    sets = [part for change in changes for part in ("--set", change)]
    began = time.monotonic()
    seg("run", data, "--plugin", "ppp", "--model", str(model), *sets, "-o", str(out), "--no-preview", "--json")
    seconds = time.monotonic() - began
    summary = json.loads(seg("evaluate", str(out), data, "--metric", "S", "--json"))["summary"]
    cells = [name, *(f"{summary[key]['mean']:.3f}" for key in KEYS), f"{seconds:.0f}"]
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--model", type=Path, default=ROOT / "evaluation" / "weights" / "ppp-worms.yaml")
    said = parser.parse_args()
    if not (said.data / "bbbc010").is_dir():
        sys.exit(f"no data set: {said.data / 'bbbc010'}; say --data FOLDER (see docs/data.md)")
    page = ROOT / "docs" / "patchperpix.md"
    halves(page, BEGIN, END)
    table = "| assembly | " + " | ".join(KEYS) + " | seconds |\n|---|" + "---|" * (len(KEYS) + 1) + "\n"
    with tempfile.TemporaryDirectory() as scratch:
        for name, changes in ROWS:
            table += row(name, changes, said.model, f"{said.data / 'bbbc010'}:test", Path(scratch))
            sys.stdout.write(table.splitlines()[-1] + "\n")
            sys.stdout.flush()
    page.write_text(with_table(page, BEGIN, END, table), encoding="utf8")


if __name__ == "__main__":
    main()
