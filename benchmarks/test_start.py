"""How long a run takes to start: `seg run` with a model, up to its plan, against the bare network.

pytest benchmarks/test_start.py -s
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import tifffile

from toolkit.testing.scenes import blobs

MUST = 1.5
BARE = """
import tifffile, torch
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import package
torch.set_num_threads(1)
network = resolve.load("embedseg", Catalogue(), "embedseg").build()
image = torch.from_numpy(tifffile.imread({path!r})[None, None].astype("float32") / 255)
with torch.inference_mode():
    network(image)
"""


def test_a_run_starts_nearly_as_fast_as_the_bare_network(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, blobs((512, 512), count=60, radius=(8.0, 14.0)).image.read()[0])
    # The plan loads the model, reads and normalises the image and runs two windows.
    run = [sys.executable, "-m", "toolkit.cli", "run", str(path), "--plugin", "embedseg", "--workers", "1", "--dry-run"]
    bare = [sys.executable, "-c", BARE.format(path=str(path))]
    times = [(_timed(run), _timed(bare)) for _ in range(4)]
    ours, theirs = (min(t[i] for t in times[1:]) for i in range(2))
    print(
        f"\nstart of seg run on 512²: {ours:.2f} s, bare network {theirs:.2f} s, ×{ours / theirs:.2f} (must < ×{MUST})"
    )
    assert ours / theirs < MUST


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
