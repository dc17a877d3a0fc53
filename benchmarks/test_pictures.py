"""What pictures cost: their share of a run of a folder of 500 images of 256².

pytest benchmarks/test_pictures.py -s
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import tifffile

from toolkit.gpu.backend import Backend
from toolkit.io import find_inputs, overlay
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.session import Session
from toolkit.running.options import Options
from toolkit.running.run import PREVIEWS, run
from toolkit.testing.scenes import blobs

IMAGES, MUST = 500, 0.2


def test_pictures_are_a_small_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    scenes = [blobs((256, 256), count=30, seed=seed).image.read()[0] for seed in range(20)]
    for k in range(IMAGES):
        tifffile.imwrite(folder / f"{k:03}.tif", scenes[k % len(scenes)], photometric="minisblack")
    spent = []

    def timed(*arguments: object) -> None:
        began = time.process_time()
        drawn(*arguments)  # type: ignore[arg-type]
        spent.append(time.process_time() - began)

    drawn = overlay.write_overlay
    monkeypatch.setattr(overlay, "write_overlay", timed)
    began = time.process_time()
    run(find_inputs([folder]), Bench(Session("embedseg", Backend())), Options(tmp_path / "out"))
    total = time.process_time() - began
    print(
        f"\n{IMAGES} images of 256², one process: {total:.0f} s of CPU, of which {len(spent)} pictures "
        f"{sum(spent):.1f} s, {sum(spent) / total:.1%} (must < {MUST:.0%}); one {1000 * sum(spent) / len(spent):.0f} ms"
    )
    assert len(spent) == PREVIEWS
    assert sum(spent) < MUST * total
