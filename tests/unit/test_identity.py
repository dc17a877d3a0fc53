"""The same heads give the objects that they gave when every pass still predicted its blocks anew, bit for bit."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from toolkit.pipeline.passes import sweep
from toolkit.plugins.catalogue import Catalogue
from toolkit.testing.blockwise import grid, pieces, prediction
from toolkit.values.instances import Instances
from toolkit.values.tiles import Lattice

GOLDEN = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("golden_identity", GOLDEN / "identity.py")
assert _spec is not None
assert _spec.loader is not None
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)
DIGESTS = json.loads((GOLDEN / "identity.json").read_text(encoding="utf8"))


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", golden.SPECS)
def test_heads_give_the_objects_that_they_always_gave(name: str, ndim: int, tmp_path: Path) -> None:
    kind, fields = golden.SPECS[name]
    if kind.startswith("ppp"):
        fields = {**fields, "patch": golden.PATCH[ndim]}
    spec = Catalogue().find("postprocessors", kind).model_validate(fields)
    whole = prediction(golden.wanted(name, golden.heads(ndim, ndim)), (1.5, 0.75, 0.75)[-ndim:])
    cuts = grid([[0, n // 3, n] for n in whole.shape])
    lattice = Lattice(whole.shape, tuple(max(1, n // 2) for n in whole.shape), (4,) * ndim)
    found = {
        "one window in one block": sweep(spec, pieces(spec, whole), grid([[0, n] for n in whole.shape])),
        "small windows in blocks": sweep(spec, pieces(spec, whole, lattice), cuts),
        "pieces in files": sweep(spec, pieces(spec, whole, lattice, folder=tmp_path), cuts),
        "loose pieces": sweep(spec, pieces(spec, whole, lattice, loose=True), cuts, loose=True),
    }
    expected = DIGESTS[f"{name}-{ndim}d"]
    for how, objects in found.items():
        assert (len(objects), digest(objects)) == (expected["objects"], expected["sha256"]), how


def digest(found: Instances) -> str:
    """sha256 of objects and scores."""
    return hashlib.sha256(found.digest.encode() + found.scores.astype("<f4").tobytes()).hexdigest()
