"""What an assembly holds, beside the prediction that it is given."""

import tracemalloc

import numpy as np
import pytest
from ppp_scenes import labels, prediction
from ppp_scenes import patches as ideal
from toolkit_ppp import assembly, pane, patches
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend

CPU = Backend()


@pytest.mark.parametrize(("shape", "patch"), [((200, 200), (13, 13)), ((24, 48, 64), (5, 5, 5))])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("budget", [pane.BUDGET, 4 * 2**20])
def test_an_assembly_holds_no_more_than_its_formula(shape, patch, threads, budget, monkeypatch) -> None:
    monkeypatch.setattr(pane, "BUDGET", budget)
    rng = np.random.default_rng(0)
    found = labels(rng, shape, count=40, radius=(6, 10))
    how = PatchPerPix(patch=patch)
    seen = prediction({"patches": ideal(rng, found, patch)})
    for part in (assembly, patches):
        monkeypatch.setattr(part, "default_threads", lambda: threads)
    # The first time compiles.
    how.assemble(seen, CPU)
    tracemalloc.start()
    how.assemble(seen, CPU)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    piece = how.keep(seen, CPU)
    held = patches.read(piece, how, CPU)
    selection = assembly.selected([assembly.scored(piece, held, how, CPU)], how)
    edges = len(assembly.linked(piece, held, selection, how, CPU).edges.first)
    # What is read of a window, here the whole image, and what is kept of it; later that, confined to the foreground.
    codes, expanded = 6 * len(held.centres) * how.voxels, 4 * len(held.centres) * held.layout.padded
    assert len(held.centres) > found.size // 10
    # Codes of all patches; stretched copies of those that threads work on; pairs of selected patches; bits and masks.
    assert peak <= codes + threads * min(budget, expanded) + 256 * edges + 48 * found.size
