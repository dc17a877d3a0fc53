"""Battery F: where memory runs out, for the network or for a block, the objects are those of an undisturbed run, or the
run ends with 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tifffile

from tests.battery.resumed import PATCHES, content
from tests.models import bright, by_chance, load, see_through
from toolkit import io
from toolkit.errors import OutOfMemory
from toolkit.pipeline import passes
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.session import Session
from toolkit.plugins.specs import PostProcessor
from toolkit.running.options import Options
from toolkit.running.run import run
from toolkit.values.tiles import blocks

pytestmark = pytest.mark.slow

EMBEDDED = {
    "name": "embedded", "network": {"kind": "embedseg:erfnet", "width": 0.25}, "loss": {"kind": "embedseg:embedseg"},
    "postprocess": {"kind": "embedseg:embedseg", "min_size": 1}, "tiling": {"window": [32, 32], "overlap": 8},
    "training": {"crop": [32, 32]},
}  # fmt: skip
MODELS = {
    "threshold": lambda folder: see_through(folder),
    "ppp": lambda folder: by_chance(folder, PATCHES, 2),
    "embedseg": lambda folder: by_chance(folder, EMBEDDED, 5),
}
BATCH = 8


@pytest.fixture(params=MODELS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    tifffile.imwrite(tmp_path / "a.tif", bright((100, 90), 0, 50))
    return Bench(Session(load(MODELS[request.param](tmp_path / "model")), "cpu"))


def ran(bench: Bench, folder: Path, name: str) -> tuple[dict[str, bytes], Any]:
    """Files and record of a run in four blocks."""
    found = io.search([str(folder / "a.tif")]).images
    outcome = run(found, bench, Options(folder / name, block=50, preview=False))
    return content(folder / name), outcome.done[0]


def test_a_network_that_has_no_memory_for_so_many_windows_sees_fewer(bench: Bench, tmp_path: Path) -> None:
    wanted, done = ran(bench, tmp_path, "whole")
    assert done.objects > 0
    predictor = bench.session.predictor
    engine, seen = predictor.engine, []
    for limit in (0, 1, 2, 3, 5, 8):

        def scarce(voxels: Any, limit: int = limit) -> Any:
            seen.append(len(voxels))
            if len(voxels) > limit:
                raise MemoryError
            return [heads for one in voxels for heads in engine(one[None])]

        predictor.engine, predictor._batch = scarce, BATCH
        seen.clear()
        bench._prepared = None
        if limit:
            assert ran(bench, tmp_path, f"limit {limit}")[0] == wanted
            assert max(seen) == BATCH
            assert predictor._batch <= limit
        else:
            with pytest.raises(OutOfMemory, match="memory does not suffice for one window"):
                ran(bench, tmp_path, "none")


def test_a_pass_that_has_no_memory_for_so_large_a_block_gets_smaller_ones(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, done = ran(bench, tmp_path, "whole")
    assert not done.notes or "memory" not in str(done.notes)
    local, tried = passes.local, []
    lattice = bench.session.model.recipe.lattice((100, 90))
    least = max(side for block in blocks(lattice, 1) for side in block.core.shape)
    large = max(side for block in blocks(lattice, 50) for side in block.core.shape)
    for limit in (0, least - 1, least, least + 3, large - 1, large):

        def scarce(spec: PostProcessor, kept: Pieces, loose: bool, work: Any, limit: int = limit) -> Any:
            tried.append(work)
            if max(work.block.core.shape) > limit:
                raise MemoryError
            return local(spec, kept, loose, work)

        monkeypatch.setattr(passes, "local", scarce)
        if limit < least:  # no block is smaller than the core of a window
            with pytest.raises(
                OutOfMemory, match=r"memory does not suffice: block .* or leave it out with --skip-block"
            ):
                ran(bench, tmp_path, f"limit {limit}")
            continue
        found, done = ran(bench, tmp_path, f"limit {limit}")
        assert found == wanted
        assert ("memory did not suffice for larger blocks" in str(done.notes)) == (limit < large)
    assert tried
