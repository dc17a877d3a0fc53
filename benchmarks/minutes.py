"""What a few minutes of one CPU thread teach: every plugin's own recipe, trained, tuned and judged on dsb2018.

    python benchmarks/minutes.py [PLUGIN…] [--data FOLDER] [--minutes 4] [--out RUNS] [--check]

Minutes are those of the CPU, so that other work on the machine changes nothing: steps and validations take them, the
closing tuning at most a quarter as much again. With `--check`, S@0.50 on `test` below the floor is an error, and so is
a score that was printed and is not obtained.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from line import seg

from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.training.sizes import unmeasured
from toolkit.training.start import train

ROOT = Path(__file__).resolve().parents[1]
FLOOR = {"embedseg": 0.78, "cpv": 0.74, "ppp": 0.50}
"""S@0.50 on `test` after 4 minutes."""


def one(plugin: str, data: Path, minutes: float, out: Path) -> dict[str, float | None]:
    """Train, tune and judge one plugin; `out` becomes the run."""
    catalogue = Catalogue()
    owner, path = catalogue.locate("recipes", plugin, plugin)
    recipe = unmeasured(Recipe.load(path, catalogue, owner), ())  # as `seg train --recipe` begins
    began = time.process_time()
    done = train(recipe, data, out, minutes=minutes, threads=1, device="cpu", owner=owner, clock=time.process_time)
    whole = time.process_time() - began
    found = {"steps": done.progress.steps, "taught_s": done.progress.seconds, "tuned_s": whole - done.progress.seconds}
    for split in ("val", "test"):
        said = out.with_name(f"{out.name}-{split}")
        seg("run", f"{data}:{split}", "--model", str(out), "-o", str(said), "--no-preview", "--device", "cpu")
        summary = json.loads(seg("evaluate", str(said), f"{data}:{split}", "--metric", "S", "--json"))["summary"]
        found[split] = summary["S@0.50"]["mean"]
    return found | {"said": done.score.value if done.score else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugin", nargs="*", default=list(FLOOR))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "dsb2018")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--check", action="store_true")
    said = parser.parse_args()
    wrong = []
    with TemporaryDirectory() as scratch:
        sys.stdout.write("| plugin | steps | CPU s of training | CPU s of tuning | S@0.50 on val | on test |\n")
        sys.stdout.write("|---|---|---|---|---|---|\n")
        for plugin in said.plugin:
            (said.out or Path(scratch)).mkdir(parents=True, exist_ok=True)
            found = one(plugin, said.data, said.minutes, (said.out or Path(scratch)) / plugin)
            times = f"{found['steps']} | {found['taught_s']:.0f} | {found['tuned_s']:.0f}"
            sys.stdout.write(f"| `{plugin}` | {times} | {found['val']:.3f} | {found['test']:.3f} |\n")
            sys.stdout.flush()
            if found["said"] != found["val"]:
                wrong.append(f"{plugin}: printed {found['said']}, obtained {found['val']}")
            if found["test"] < FLOOR.get(plugin, 0.0):
                wrong.append(f"{plugin}: {found['test']:.3f} on test, below {FLOOR[plugin]}")
    if said.check and wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
