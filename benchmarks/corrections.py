"""A simulated person corrects the images of a set that the shipped model does badly: what a few minutes make of it.

    python benchmarks/corrections.py all|table [--data usiigaci] [--minutes 5] [--runs FOLDER] [--cells NAME…]

The model is the one of commit `START`, whose history must be there. It segments the split `train`; the truth of some of
these images is saved as their corrections, `seg correct --whole` and `seg train --corrections` do the rest, and the
split `test`, which nobody corrected, is measured before and after. `worst`: the images with the lowest S@0.50, as who
looks at all of them would choose; `suggested`: those that `seg suggest` names, which knows no truth; `random`. A cell
that has a record is not done again, and a training that was stopped goes on. `table` writes docs/correct.md. The model
has learnt the split `train` of dsb2018_color, so there is little to gain; it has never seen a phase contrast image.
`mixed` is no data set but a folder like many: among forty images of nuclei in fluorescence, which the model knows, lie
ten in phase contrast, which it has never seen, and the images to measure on are five of each.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from corrections_mixed import MIXED, mixed
from corrections_table import write
from line import seg

from toolkit import io

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "results" / "corrections"
START = "d005880"
SHIPPED = "plugins/embedseg/toolkit_embedseg/recipes/embedseg"
VALUES = ("S@0.50", "S@0.70", "S@0.80")
SEEDS = range(5)
CELLS = (
    *(f"worst-{count}-0" for count in (10, 5, 20)),
    *(f"{how}-10-{seed}" for seed in SEEDS for how in ("suggested", "random")),
)
"""How images are chosen, how many, and the seed of the choice and of the training; the most telling first."""
CHOICES = tuple(cell for cell in CELLS if not cell.startswith("worst"))
"""What is asked where kinds of images are mixed."""
EXTRA = {"dsb2018_color": ("--set", "input.channels=haematoxylin")}


def start(folder: Path) -> Path:
    """The recipe of the model that everything begins with, its weights beside it."""
    recipe = folder / "start.yaml"
    if not recipe.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for ending in (".safetensors", ".yaml"):
            found = subprocess.run(
                ["git", "show", f"{START}:{SHIPPED}{ending}"], cwd=ROOT, capture_output=True, check=False
            )
            if found.returncode:
                sys.exit(f"commit {START} is not in the history of this checkout: git fetch --unshallow")
            recipe.with_suffix(ending).write_bytes(found.stdout)
    return recipe


def measured(model: Path, data: str, out: Path, extra: Sequence[str]) -> dict[str, Any]:
    """What `seg run` and `seg evaluate` say of a model on a split: the values, and S@0.50 of each image."""
    if not (out / "run.json").is_file():
        seg("run", data, "--model", str(model), "-o", str(out), "--no-preview", "--device", "cpu", "--resume", *extra)
    found = json.loads(seg("evaluate", str(out), data, "--metric", "S@.5:.1:.9", "--json"))
    summary = {name: found["summary"][name]["mean"] for name in VALUES}
    return {**summary, "images": {image["name"]: image["S@0.50"] for image in found["images"]}}


def chosen(how: str, count: int, seed: int, pool: Path, before: dict[str, float]) -> list[str]:
    """Names of the images that are corrected."""
    if how == "worst":
        return sorted(before, key=lambda name: (before[name], name))[:count]
    if how == "random":
        return random.Random(seed).sample(sorted(before), min(count, len(before)))
    path = pool.with_name("suggested.json")
    if not path.is_file():
        keep(path, json.loads(seg("suggest", str(pool), "-n", "1000", "--json", "--device", "cpu")))
    return [image["image"] for image in json.loads(path.read_text(encoding="utf8"))["images"]][:count]


def do(cell: str, said: argparse.Namespace) -> None:
    """Correct, train and measure."""
    record = said.records / f"{said.data.name}-{cell}.json"
    if record.is_file():
        return
    how, count, seed = cell.split("-")
    extra, runs = EXTRA.get(said.data.name, ()), said.runs / said.data.name
    begin, pool, test = start(said.runs), runs / "pool.seg", f"{said.data}:test"
    before = measured(begin, f"{said.data}:train", pool, extra)["images"]
    names = chosen(how, int(count), int(seed), pool, before)
    place = runs / cell
    out = place / "pool.seg"
    if not (place / "corrected").is_file():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(pool, out)
        corrected(said.data, names, place / "pool.seg.corrections")
        seg("correct", str(out), "--whole", "--pieces", "keep", "--by", "simulation")
        (place / "corrected").touch()
    long = ("--steps", str(said.steps)) if said.steps else ("--minutes", str(said.minutes))
    common = ("--corrections", str(out), "-o", str(place / "run"), "--device", "cpu", "--threads", str(said.threads))
    seg("train", "--model", str(begin), *common, *long, "--set", f"training.seed={seed}",
        "--resume", *extra)  # fmt: skip
    closing = json.loads((place / "run" / "training.json").read_text(encoding="utf8"))
    found = {
        "data": said.data.name, "cell": cell, "threads": said.threads, "corrected": names,
        "budget": f"{said.steps} steps" if said.steps else f"{said.minutes:g} minutes",
        "before": measured(begin, test, runs / "start-test", extra),
        "after": measured(place / "run", test, place / "test", ()),
        "steps": closing["steps"], "closing": closing["closing"],
    }  # fmt: skip
    keep(record, found)


def corrected(data: Path, names: Sequence[str], folder: Path) -> None:
    """Save the truth of some images as a person would what she drew."""
    folder.mkdir()
    found = io.open_dataset(str(data))
    for item in found.items:
        if item.name in names:
            layers = found.truth(item).layers
            assert len(layers) == 1, "the editor of this person knows one layer"
            tifffile.imwrite(folder / f"{item.name}.tif", layers[0].astype(np.int32), compression="zlib")


def keep(path: Path, known: dict[str, Any]) -> None:
    """Write a record, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(known, indent=1) + "\n", encoding="utf8")
    draft.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "table"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "usiigaci")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, help="so many steps instead of minutes, on a machine that is not quiet")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "corrections")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--cells", nargs="*")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "correct.md")
    said = parser.parse_args()
    sets = {said.data.name: CELLS, MIXED: CHOICES}
    if said.what == "all":
        if said.data.name == MIXED:
            said.data = mixed(ROOT.parent / "shared" / "data", said.runs / "data")
        for cell in said.cells or sets[said.data.name]:
            do(cell, said)
    write(said.page, sets, said.records, VALUES)


if __name__ == "__main__":
    main()
