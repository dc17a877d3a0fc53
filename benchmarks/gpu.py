"""All that is to be known of a machine with a card, in at most ten minutes: does it give what the CPU gives, how fast.

    python benchmarks/gpu.py [--device cuda:0] [--minutes 9] [--train MINUTES --data DIR] [--out FILE.json] [--dry-run]

For every shipped model on a generated image: the largest difference of the heads from those of the CPU, objects matched
with the CPU's at IoU .99, the same kept pieces assembled on the card and on the CPU (they must be equal), windows of
256² a second and peak memory of the card. `--train` trains `embedseg` on the card, too; its run lies beside FILE.
What time does not suffice for is listed as not run. `--dry-run` walks the same way without a card: networks run on the
CPU, kernels in the simulator, and no figure is meant.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.gpu.backend import Backend, select
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.session import Session
from toolkit.steps.matching import overlap
from toolkit.testing.device import device
from toolkit.testing.scenes import blobs
from toolkit.values.tiles import Block, Box

MODELS = ("embedseg", "cpv", "ppp", "ppp-filaments")
CLOSE, SAME = 1e-2, 0.99
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--train", type=float, default=0.0)
    parser.add_argument("--data", default="")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--dry-run", action="store_true")
    said = parser.parse_args()
    end = time.monotonic() + 60 * said.minutes
    card = Backend() if said.dry_run else select(said.device)
    kernels: Callable[[], AbstractContextManager[Backend]] = device if said.dry_run else lambda: nullcontext(card)
    said.out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"card": card_name(card), "dry_run": said.dry_run, "models": {}, "not_run": []}
    for name in MODELS:
        if time.monotonic() > end:
            found["not_run"].append(name)
            continue
        found["models"][name] = model(name, card, kernels, 256 if said.dry_run else 1024)
        print(f"{name}: {json.dumps(found['models'][name])}", flush=True)
        said.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    left = (end - time.monotonic()) / 60
    if said.train and left < said.train:
        found["not_run"].append(f"training of {said.train:g} min: {left:.1f} are left")
    elif said.train:
        command = ["train", "--plugin", "embedseg", "--data", said.data, "--minutes", f"{said.train:g}", "--device",
                   card.device, "-o", str(said.out.with_suffix(".run"))]  # fmt: skip
        found["training"] = subprocess.run([sys.executable, "-m", "toolkit.cli", *command], check=False).returncode
    said.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    wrong = [name for name, one in found["models"].items() if not one["passed"]]
    sys.exit(f"another result than on the CPU: {', '.join(wrong)}" if wrong or found.get("training") else 0)


def model(
    name: str, card: Backend, kernels: Callable[[], AbstractContextManager[Backend]], side: int
) -> dict[str, Any]:
    """What there is to know of one shipped model."""
    image = blobs((side, side), count=side * side // 6000, radius=(8.0, 14.0)).image
    here, there = Session(name, "cpu"), Session(name, card)
    prepared = here.prepare(image)
    box = Box.whole((min(side, 512),) * 2)
    wanted = here.predictor(prepared.image, prepared.scale, box)
    given = there.predictor(prepared.image, prepared.scale, box)
    differs = {n: float(np.abs(there.backend.to_numpy(given[n]) - wanted[n]).max()) for n in wanted.heads}
    pieces, post = here.pieces(prepared), here.model.recipe.postprocess
    objects = here.objects(pieces, post)
    elsewhere = there.objects(there.pieces(there.prepare(image)), post)
    pairs = overlap(objects, elsewhere)
    matched = int((pairs.shared >= SAME * pairs.unions).sum())
    with kernels() as gpu:
        moved = copy.copy(pieces)
        moved.backend = gpu
        assembled = sweep(post, moved, [Block(0, Box.whole(pieces.shape))])
    equal = assembled.digest == sweep(post, pieces, [Block(0, Box.whole(pieces.shape))]).digest
    share = matched / max(1, len(objects), len(elsewhere))
    passed = equal and max(differs.values()) <= CLOSE and share >= SAME
    return {"heads_differ": differs, "objects": [len(objects), len(elsewhere)], "matched_at_0.99": matched,
            "assembled_equal": equal, **pace(there, card), "passed": passed}  # fmt: skip


def pace(session: Session, card: Backend) -> dict[str, float]:
    """Windows of 256² a second, heads left on the card, and GiB of the card at most."""
    import torch

    batch = BATCH if card.on_gpu else 1
    channels = session.model.recipe.input.count or 1
    voxels = np.random.default_rng(0).random((batch, channels, 256, 256), np.float32)
    wait = torch.cuda.synchronize if card.on_gpu else lambda: None
    session.predictor.engine(voxels)
    wait()
    rounds, began = (20 if card.on_gpu else 1), time.perf_counter()
    for _ in range(rounds):
        session.predictor.engine(voxels)
    wait()
    seconds = time.perf_counter() - began
    memory = torch.cuda.max_memory_allocated() / 2**30 if card.on_gpu else 0.0
    return {"windows_per_second": rounds * batch / seconds, "peak_gib": memory}


def card_name(card: Backend) -> str:
    """What the card calls itself."""
    import torch

    return torch.cuda.get_device_name(card.device) if card.on_gpu else "none"


if __name__ == "__main__":
    main()
