"""CPU seconds of the predictor against the bare network on the same windows, taking turns, on one thread.

    python benchmarks/predictor.py [MODEL…] [--side 1024] [--rounds 5]

`bare`: the module as the engine runs it, all heads, on windows that lie ready in memory, no activation. `predictor`:
windows read, normalised, predicted and cropped, heads lazy. `pieces`: the whole stage of a run, in which a method keeps
what it needs, heads activated where it asks.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from line import timed

from toolkit.gpu.memory import keep_freed
from toolkit.pipeline.modules import layout, lean
from toolkit.pipeline.session import Session
from toolkit.testing.scenes import blobs

MUST = 1.08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["embedseg", "cpv", "ppp", "ppp-filaments"])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()
    print(f"| model | bare, s/MP | predictor | ratio (must ≤ {MUST}) | pieces | ratio |\n|---|---|---|---|---|---|")
    for name in said.models:
        print(row(name, said.side, said.rounds), flush=True)


def row(name: str, side: int, rounds: int) -> str:
    """A line of the table."""
    session = Session(name, "cpu")
    seen = session.prepare(blobs((side, side), count=side * side // 3000, radius=(8.0, 14.0)).image)
    windows = list(session.lattice(seen).windows())
    network = lean(session.model.build())
    ready = [torch.from_numpy(np.stack([seen.scale(seen.image.read_reflected(w.outer))])) for w in windows]
    ready = [w.contiguous(memory_format=layout(w.ndim - 2)) for w in ready]

    def bare() -> None:
        with torch.inference_mode():
            for window in ready:
                network(window)

    def predictor() -> None:
        for _ in session.predictor.windows(seen.image, seen.scale, windows):
            pass

    works = bare, predictor, lambda: session.pieces(seen)
    spent = [[timed(work) for work in works] for _ in range(rounds + 1)][1:]
    own, ours, kept = (min(one[i] for one in spent) / (side * side / 1e6) for i in range(3))
    return f"| `{name}` | {own:.2f} | {ours:.2f} | {ours / own:.2f} | {kept:.2f} | {kept / own:.2f} |"


if __name__ == "__main__":
    main()
