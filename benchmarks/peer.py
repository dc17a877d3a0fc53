"""CPU seconds of bioimageio.core's prediction with a package of ours and of `seg run` with it, each from nothing.

    python benchmarks/peer.py [MODEL…] [--side 2048] [--rounds 2]

bioimageio.core predicts the heads: whole, as it does unless told otherwise, and by blocks, of the least size that the
package allows and of about 512². `seg run` gives and writes objects. All on one thread, with the same package and
image; the least of some rounds and the most memory of one process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from against import ROOT, SEG, make, spent

MUST = 3.0
ABOUT_512 = str((512 - 96) // 16)
"""Of a package of ours, whose blocks are 96 + 16 n."""
THEIRS = """
import sys
import tifffile, torch
from bioimageio.core import Tensor, create_prediction_pipeline, load_model_description, predict
torch.set_num_threads(1)
package, weights, blocks, *images = sys.argv[1:]
model = load_model_description(package)
axes = [axis.id for axis in model.inputs[0].axes]
# `predict` enters and leaves it; who leaves it once more waits forever (0.11).
pipeline = create_prediction_pipeline(model, weight_format=weights)
for image in images:
    voxels = Tensor(tifffile.imread(image)[None, None].astype("float32"), dims=axes)
    size = int(blocks) if blocks else None
    predict(model=pipeline, inputs={model.inputs[0].id: voxels}, blocksize_parameter=size)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["embedseg"])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    said = parser.parse_args()
    print(f"| model | what | CPU s | GiB | times as long (must ≥ {MUST:g}) |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        image = str(Path(scratch) / "image.tif")
        make(image, (said.side, said.side))
        for name in said.models:
            package = str(Path(scratch) / f"{name}.zip")
            spent(ROOT, [*SEG, "export", name, "-o", package, "--author", "A. Author", "--image", image])
            ours: dict[str, float] = {}
            for what, command in ways(package, image, Path(scratch)).items():
                each = [spent(ROOT, command) for _ in range(said.rounds)]
                cpu, memory = min(s for s, _ in each), max(m for _, m in each)
                ours.setdefault("cpu", cpu)
                print(f"| `{name}` | {what} | {cpu:.1f} | {memory:.1f} | {cpu / ours['cpu']:.2f} |", flush=True)


def ways(package: str, image: str, scratch: Path) -> dict[str, list[str]]:
    """Commands by what they are; ours is the first."""
    run = [*SEG, "run", image, "--model", package, "-o", str(scratch / "out"), "--overwrite", "--engine"]
    found = {f"`seg run`, {engine}": [*run, engine] for engine in ("torch", "onnxruntime")}
    for weights in ("pytorch_state_dict", "onnx"):
        for how, blocks in (("whole", ""), ("least blocks", "0"), ("blocks of about 512", ABOUT_512)):
            found[f"bioimageio.core, {weights}, {how}"] = theirs(package, weights, blocks, [image])
    return found


def theirs(package: str, weights: str, blocks: str, images: list[str]) -> list[str]:
    """The command that predicts images by bioimageio.core; `blocks` is its parameter of their size, or empty: whole."""
    return [sys.executable, "-c", THEIRS, package, weights, blocks, *images]


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
