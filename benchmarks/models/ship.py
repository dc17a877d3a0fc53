"""Put the model of a run into a plugin: recipe and weights, 16 bits, beside the plugin's other recipes.

    python benchmarks/models/ship.py RUN plugins/embedseg/toolkit_embedseg/recipes/embedseg.yaml [--last] [--whole]

The recipe takes the name of its file. With `--last`, the averaged weights of the last step are taken, not those with
the best score on the way. The model card (`.md` beside them) is written by hand: data, licence, commands, scores. What
may not be shipped goes to `evaluation/weights/` instead.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import load_file

from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.phases import OWN
from toolkit.registry import package, resolve
from toolkit.training.checkpoint import LAST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--last", action="store_true")
    parser.add_argument("--whole", action="store_true", help="32 bits, where 16 change the scores")
    said = parser.parse_args()
    model = resolve.load(str(said.run), Catalogue())
    module = model.build()
    if said.last:
        kept = load_file(said.run / LAST)
        mark = f"average.{OWN}."
        module.load_state_dict({k.removeprefix(mark): v for k, v in kept.items() if k.startswith(mark)})
    recipe = model.recipe.model_copy(update={"name": said.target.stem})
    said.target.write_text(recipe.dump(), encoding="utf8")
    weights = said.target.with_suffix(".safetensors")
    package.save(module, weights, half=not said.whole)
    sys.stdout.write(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, sha256 {package.file_digest(weights)}\n")


if __name__ == "__main__":
    main()
