"""What windows, precision or engine cost and give: scores on a split and CPU time, of settings side by side in one run.

    python benchmarks/settings.py MODEL DATA:val [--larger 257] [--images N] [--plugin P] -- SETTING…

A SETTING is changes of the recipe joined by `;`, such as `tiling.window=[512,512];tiling.overlap=64`, or `now`;
`engine=onnxruntime` among them chooses the engine, `engine=bfloat16` torch in 16 bits, which a processor without
instructions for them emulates: the same score, more seconds. Of the split the images with an axis of at least
`--larger` pixels are taken, at most N evenly spread. Writes a table: mean S@t, CPU seconds of network and objects per
megapixel. Choose on `val`, never on `test`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from toolkit import io
from toolkit.evaluation.named import find_value
from toolkit.pipeline.engines import Engine
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve

KEYS = ("S@0.50", "S@0.60", "S@0.70", "S@0.80", "S@0.90")


def main() -> None:
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--larger", type=int, default=1)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--plugin")
    said = parser.parse_args(sys.argv[1:at])
    data = io.open_dataset(said.data)
    items = [item for item in data.items if max(data.image(item).shape) >= said.larger]
    items = items[:: max(1, -(-len(items) // said.images))]
    print(f"{said.model} on {len(items)} images of {Path(said.data).name}\n")
    print(f"| setting | {' | '.join(KEYS)} | network, s/MP | objects, s/MP |\n|---|" + "---|" * (len(KEYS) + 2))
    for setting in sys.argv[at + 1 :]:
        print(row(said.model, said.plugin, setting, data, items), flush=True)


def row(model: str, plugin: str | None, setting: str, data: io.Dataset, items: list[io.Item]) -> str:
    """A line of the table."""
    catalogue = Catalogue()
    owner = plugin or (model if not Path(model).exists() else None)
    parts = [] if setting == "now" else setting.split(";")
    engine = next((p.removeprefix("engine=") for p in parts if p.startswith("engine=")), "auto")
    loaded = resolve.load(model, catalogue, owner)
    changes = [p for p in parts if not p.startswith("engine=")]
    loaded = loaded.with_recipe(loaded.recipe.changed(changes, catalogue, loaded.owner))
    run_by = Engine("torch", "bfloat16") if engine == "bfloat16" else engine
    session, measured = Session(loaded, "cpu", catalogue, run_by), find_value("S@0.50", catalogue)[0]
    session.predictor  # noqa: B018  (loaded before the clock runs)
    counts, spent, voxels = [], [0.0, 0.0], 0
    for item in items:
        prepared = session.prepare(data.image(item))
        began = cpu()
        pieces = session.pieces(prepared)
        middle = cpu()
        objects = session.objects(pieces, loaded.recipe.postprocess)
        spent = [spent[0] + middle - began, spent[1] + cpu() - middle]
        voxels += prepared.image.read().size // prepared.image.channels
        counts.append(measured.count(data.truth(item), objects))
    values = measured.summarise(counts)
    paces = [1e6 * s / voxels for s in spent]
    return f"| {setting} | {' | '.join(f'{values[k]:.4f}' for k in KEYS)} | {paces[0]:.2f} | {paces[1]:.2f} |"


def cpu() -> float:
    """CPU seconds of this process."""
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main()
