"""Make the accuracy table of the README: every shipped model on every test split, through the command line.

    python benchmarks/reproduce.py [--data FOLDER] [--check]

Each row is `seg run DATA:test` followed by `seg evaluate`. The table replaces those between the markers in README.md
and docs/accuracy.md; with `--check` nothing is written and a table that would differ is an error.
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
PAGES = (ROOT / "README.md", ROOT / "docs" / "accuracy.md")
BEGIN, END = "<!-- accuracy: make reproduce -->\n", "<!-- /accuracy -->\n"
KEYS = ("S@0.50", "S@0.60", "S@0.70", "S@0.80", "S@0.90")
ROWS = (
    # model of the plugin, data set, further arguments of `seg run`
    ("embedseg", "dsb2018", ()),
    ("embedseg", "bbbc039", ()),
    ("embedseg", "dsb2018_color", ("--set", "input.channels=haematoxylin")),
    ("cpv", "dsb2018", ()),
    ("cpv", "bbbc039", ()),
    ("ppp", "dsb2018", ()),
    ("ppp", "bbbc039", ()),
)
KEPT = (
    # weights that are not shipped (evaluation/weights), plugin, data set
    ("ppp-worms", "ppp", "bbbc010"),
    ("embedseg-usiigaci", "embedseg", "usiigaci"),
    ("embedseg-3d", "embedseg", "bbbc050"),
    ("ppp-3d", "ppp", "bbbc050"),
)
"""What is shipped, and what is kept to reproduce scores. Of dsb2018_color, only the RGB images of its test split are
taken: the others have no stain."""


def row(name: str, plugin: str, data: Path, extra: tuple[str, ...], scratch: Path) -> str:
    """One line of the table."""
    out = scratch / f"{name}-{data.name}"
    truth = f"{data}:test"
    inputs = rgb(data) if "input.channels=haematoxylin" in extra else [truth]
    record = json.loads(
        seg("run", *inputs, "--plugin", plugin, *extra, "--diameter", "off", "-o", str(out), "--no-preview", "--json")
    )
    if inputs != [truth]:
        truth = str(partial_truth(data, inputs, scratch))
    summary = json.loads(seg("evaluate", str(out), truth, "--metric", "S", "--json"))["summary"]
    values = [summary[key]["mean"] for key in KEYS]
    low, high = summary[KEYS[0]]["interval"]
    count = len(record["images"])
    cells = [
        f"`{name}`",
        f"{data.name} test, {count} images",
        *(f"{v:.3f}" for v in values),
        f"{low:.3f}–{high:.3f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def rgb(data: Path) -> list[str]:
    """The RGB images of a test split that mixes RGB and grey."""
    import tifffile

    names = json.loads((data / "splits.json").read_text())["test"]
    paths = [data / "images" / f"{name}.tif" for name in names]
    return [str(p) for p in paths if len(tifffile.TiffFile(p).series[0].shape) == 3]


def partial_truth(data: Path, images: list[str], scratch: Path) -> Path:
    """A folder with the masks of these images only."""
    folder = scratch / f"{data.name}-masks"
    folder.mkdir()
    for image in images:
        (folder / Path(image).name).symlink_to(data.resolve() / "masks" / Path(image).name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"no data folder: {arguments.data}; say --data FOLDER (see docs/data.md)")
    for page in PAGES:
        halves(page, BEGIN, END)
    head = "| method | data | " + " | ".join(KEYS) + " | 95 % interval of S@0.50 |\n"
    table = head + "|---|---|" + "---|" * (len(KEYS) + 1) + "\n"
    with tempfile.TemporaryDirectory() as scratch:
        for plugin, data, extra in ROWS:
            table += row(plugin, plugin, arguments.data / data, extra, Path(scratch))
        for name, plugin, data in KEPT:
            model = ROOT / "evaluation" / "weights" / f"{name}.yaml"
            table += row(name, plugin, arguments.data / data, ("--model", str(model)), Path(scratch))
    sys.stdout.write(table)
    fresh = {page: with_table(page, BEGIN, END, table) for page in PAGES}
    if arguments.check:
        same = all(page.read_text(encoding="utf8") == text for page, text in fresh.items())
        sys.exit(0 if same else "the table in README.md or docs/accuracy.md differs from this one")
    for page, text in fresh.items():
        page.write_text(text, encoding="utf8")


if __name__ == "__main__":
    main()
