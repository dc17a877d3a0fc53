"""CPU seconds of a training step against a bare loop of the same network, taking turns, on one thread.

    python benchmarks/steps.py [PLUGIN…] [--data FOLDER] [--rounds 7]

The step is `Training.step` of the plugin's own recipe, from the shipped weights, on crops of the data set's `train`;
the bare loop is forward, mean of the squared heads, backward and optimiser in a few lines. A head that is evaluated
only where the loss looks is evaluated there, at as many pixels. Making the crops is a column of its own: a thread does
it meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from line import timed

from toolkit import io
from toolkit.gpu.backend import Backend, short
from toolkit.pipeline.modules import lay
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.training.data import Batch, Crops
from toolkit.training.run import Run
from toolkit.training.training import Training

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "dsb2018"
MUST = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugins", nargs="*", default=["embedseg", "cpv", "ppp"])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=7)
    said = parser.parse_args()
    print(f"| plugin | step, ms | bare loop, ms | ratio (must ≤ {MUST}) | crops, ms |\n|---|---|---|---|---|")
    for name in said.plugins:
        print(row(name, said.data, said.rounds), flush=True)


def row(name: str, data: Path, rounds: int) -> str:
    """A line of the table."""
    catalogue = Catalogue()
    model = resolve.load(name, catalogue, name)
    # Statistics settle late in a training; here every step is an early one.
    crops = Crops(io.open_dataset(f"{data}:train"), model.recipe)
    crops.weights()
    steps: list[tuple[Batch, ...]] = []
    making = [timed(lambda n=n: steps.append(crops.batches(n))) for n in range(rounds)]  # type: ignore[misc]
    with TemporaryDirectory() as scratch:
        training = Training(Run(Path(scratch), model.recipe, model), Backend(), model.recipe.training.steps)
        bare = loop(model)
        spent = [(timed(lambda b=b: training.step(b)), timed(lambda b=b: bare(b))) for b in steps]  # type: ignore[misc]
    # Both see the same crops in the same round, and differ from round to round by what lies in the crops.
    ours, theirs = (sum(s[i] for s in spent[1:]) / (rounds - 1) for i in range(2))
    return f"| `{name}` | {1e3 * ours:.0f} | {1e3 * theirs:.0f} | {ours / theirs:.2f} | {1e3 * min(making):.0f} |"


def loop(model: ModelPackage) -> Callable[[tuple[Batch, ...]], None]:
    """A training step as somebody would write it who wants nothing else."""
    network = model.build().train()
    lay(network)
    updates = torch.optim.Adam(network.parameters(), lr=1e-6)
    pixels = getattr(model.recipe.loss, "pixels", None) or 0

    def dense(head: Any) -> torch.Tensor:
        if isinstance(head, torch.Tensor):
            return head
        area = head.maps.shape[0] * head.maps[0, 0].numel()
        return head.at(torch.randint(area, (pixels or area,)))  # type: ignore[no-any-return]

    def step(batches: tuple[Batch, ...]) -> None:
        updates.zero_grad(set_to_none=True)
        for batch in batches:
            voxels = torch.from_numpy(batch["voxels"]).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=short(Backend())):
                heads = network(voxels)
            torch.stack([dense(head).float().square().mean() for head in heads.values()]).sum().backward()
        updates.step()

    return step


if __name__ == "__main__":
    main()
