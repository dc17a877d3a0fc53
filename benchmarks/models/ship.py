"""Put the model of a run into a plugin: recipe and weights, 16 bits, beside the plugin's other recipes.

    python benchmarks/models/ship.py RUN plugins/embedseg/toolkit_embedseg/recipes/embedseg.yaml

The model card (`.md` beside them) is written by hand: data, licence, commands, scores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import package


def main(run: Path, target: Path) -> None:
    model = package.load(str(run), Catalogue())
    target.write_text(model.recipe.dump(), encoding="utf8")
    weights = target.with_suffix(".safetensors")
    package.save(model.build(), weights, half=True)
    sys.stdout.write(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, sha256 {package.file_digest(weights)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
