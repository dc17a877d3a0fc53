"""Measure the objects that a model learnt, and write their sizes into its recipe.

    python benchmarks/models/learnt.py DATA:train plugins/embedseg/toolkit_embedseg/recipes/embedseg.yaml [FURTHER …]

A training does this by itself (`input.diameter_px`); this is for models that were trained before it did.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toolkit import io
from toolkit.files import plain_yaml
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.training.sizes import learnt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the split that it was trained on, DIR:SPLIT")
    parser.add_argument("recipes", nargs="+", type=Path)
    said = parser.parse_args()
    data = io.open_dataset(said.data)
    for path in said.recipes:
        plain = plain_yaml.load(path.read_bytes())
        assert isinstance(plain, dict)
        recipe = learnt(Recipe.load(path, Catalogue()), data)
        plain["input"] = {**plain["input"], "diameter_px": recipe.plain()["input"]["diameter_px"]}
        path.write_text(plain_yaml.dump(plain), encoding="utf8")
        sys.stdout.write(f"{path}: {recipe.input.diameter_px}\n")


if __name__ == "__main__":
    main()
