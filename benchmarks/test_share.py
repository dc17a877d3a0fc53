"""What objects cost beside the network: post-processing of the shipped models against the network that feeds it.

pytest benchmarks/test_share.py -s
"""

from __future__ import annotations

import time

import pytest
import torch

from toolkit.gpu.backend import Backend
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.testing.scenes import blobs

MUST = 1.0
MODELS = [
    ("embedseg", ()),
    ("cpv", ()),
    ("cpv", ("postprocess.seeds=votes",)),
    ("ppp", ()),
]


@pytest.mark.parametrize(("name", "changes"), MODELS)
def test_post_processing_takes_no_longer_than_the_network(name: str, changes: tuple[str, ...]) -> None:
    catalogue = Catalogue()
    model = resolve.load(name, catalogue)
    model = model.with_recipe(model.recipe.changed(changes, catalogue, model.owner))
    session = Session(model, Backend(), catalogue)
    seen = session.prepare(blobs((1024, 1024), count=350, radius=(8.0, 14.0)).image)
    windows = list(session.lattice(seen).windows())
    torch.set_num_threads(1)
    times = []
    # The first round compiles.
    for _ in range(2):
        began = time.process_time()
        for _ in session.predictor.windows(seen.image, seen.scale, windows):
            pass  # heads are lazy: this is the network alone
        network = time.process_time() - began
        began = time.process_time()
        found = session.objects(session.pieces(seen))
        times.append((network, time.process_time() - began - network))
    network, after = times[-1]
    print(
        f"\n{name} {' '.join(changes)} on 1024², {len(found)} objects: network {network:.2f} s of one core, then "
        f"{after:.2f} s, ×{after / network:.2f} (must < ×{MUST})"
    )
    assert after < MUST * network
