"""Memory of a run does not grow with the volume: what is allocated for eight times the voxels is hardly more."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from benchmarks.large_balls import Ideal, model, volume
from toolkit import io
from toolkit.io import pyramid, tifflabels, zarrimage
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.session import Session
from toolkit.running.options import Options
from toolkit.running.run import run
from toolkit.steps import measure, normalise
from toolkit.values import scattered

SHARE = 30
pytestmark = pytest.mark.slow


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read and written at once is as little to a small volume as it else is to a large one."""
    monkeypatch.setattr(pyramid, "SHARD", {3: (64, 64, 64)})
    monkeypatch.setattr(pyramid, "CHUNK", {3: (32, 64, 64)})
    monkeypatch.setattr(zarrimage, "COPIED", 0)
    monkeypatch.setattr(tifflabels, "STRIP", 2**14)
    monkeypatch.setattr(tifflabels, "SLAB", 2**18)
    monkeypatch.setattr(scattered, "ROOM", 2**20)
    monkeypatch.setattr(scattered, "MANY", 2**15)
    for module in (measure, normalise):
        monkeypatch.setattr(module, "SLAB", 2**17)
        monkeypatch.setattr(module, "CHUNK", 2**16)


@pytest.mark.parametrize("method", ["threshold", "sdt"])
def test_memory_does_not_grow_with_the_volume(method: str, small: None, tmp_path: Path) -> None:
    session = Session(model(tmp_path, method), "cpu")
    session.__dict__["predictor"] = Ideal(method, SHARE)
    peak, objects = {}, {}
    for number, size in enumerate((120, 120, 232)):  # whole windows; the first warms up what is compiled
        found = io.search([str(volume(tmp_path / f"{size}.zarr", size, SHARE))]).images
        tracemalloc.start(1)
        outcome = run(found, Bench(session), Options(tmp_path / str(number), block=56, preview=False))
        peak[size], objects[size] = tracemalloc.get_traced_memory()[1], outcome.done[0].objects
        tracemalloc.stop()
    assert (objects[120], objects[232]) == (8, 64)
    assert peak[232] <= 1.3 * peak[120], f"{peak[120] / 2**20:.1f} MiB, then {peak[232] / 2**20:.1f} MiB"
