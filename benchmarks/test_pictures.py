"""What pictures cost: their share of a run of a folder of 500 images of 256².

pytest benchmarks/test_pictures.py -s

70 images are run, of which the first 50 get a picture as in any run; what the other 430 cost follows from these: images
are done one after the other, and none knows of another.
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

RUN, IMAGES, MUST = 70, 500, 0.2


def test_pictures_are_a_small_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    scenes = [blobs((256, 256), count=30, seed=seed).image.read()[0] for seed in range(10)]
    for k in range(RUN):
        tifffile.imwrite(folder / f"{k:03}.tif", scenes[k % len(scenes)], photometric="minisblack")
    spent = []

    def timed(*arguments: object) -> None:
        began = time.process_time()
        drawn(*arguments)  # type: ignore[arg-type]
        spent.append(time.process_time() - began)

    drawn = overlay.write_overlay
    monkeypatch.setattr(overlay, "write_overlay", timed)
    bench = Bench(Session("embedseg", Backend()))
    run(find_inputs([folder / "000.tif"]), bench, Options(tmp_path / "warm"))  # compiles, imports
    spent.clear()
    began = time.process_time()
    run(find_inputs([folder]), bench, Options(tmp_path / "out"))
    pictures, rest = sum(spent), (time.process_time() - began - sum(spent)) / RUN
    share = pictures / (pictures + IMAGES * rest)
    print(
        f"\n{RUN} images of 256², one process: a picture {1000 * pictures / len(spent):.0f} ms of CPU, all else "
        f"{1000 * rest:.0f} ms per image; of {IMAGES} images, {PREVIEWS} of them with a picture, {share:.1%} (must < "
        f"{MUST:.0%}); if each had one, {pictures / len(spent) / (pictures / len(spent) + rest):.0%}"
    )
    assert len(spent) == PREVIEWS
    assert share < MUST
