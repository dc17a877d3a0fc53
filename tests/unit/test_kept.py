"""The table of the decision record says of every post-processor what it keeps, its passes, and how far it is exact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.test_identity import golden
from toolkit.api import Instances, postprocessor
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.specs import PostProcessor
from toolkit.testing.blockwise import pieces, prediction
from toolkit.values.fragment import Fragment
from toolkit.values.prediction import Prediction

RECORD = Path(__file__).parents[2] / "docs" / "decisions" / "0011-the-network-runs-once.md"
ROWS = [[c.strip() for c in line.strip("|\n").split("|")] for line in RECORD.read_text(encoding="utf8").splitlines()
        if line.startswith("| ")]  # fmt: skip
TABLE = {row[0].strip("`"): row[1:] for row in ROWS[1:]}
OTHER = "any other"
SHIPPED = ("builtin", "ppp", "embedseg", "cpv", "cac")
FIELDS = {"points": "points", "embedseg": "embedseg", "ppp_mws_dense": "ppp-dense", "mutex_watershed": "mutex"}
"""Names of `golden.SPECS` whose fields a method is tried with, where they are not its own."""


@postprocessor(OTHER, needs={"foreground": 1}, halo=7)
def other(heads: dict[str, np.ndarray]) -> Any:
    """The simplest method keeps all heads."""
    return (heads["foreground"][0] > 0.5).astype(np.int32)


def made(name: str, ndim: int, **changes: object) -> PostProcessor:
    if name == OTHER:
        return other(kind=OTHER)
    kind, fields = golden.SPECS.get(FIELDS.get(name, name), (name, {}))
    if name in ("ppp", "ppp_mws_dense"):
        changes["patch"] = golden.PATCH[ndim]
    spec: PostProcessor = Catalogue().find("postprocessors", kind).model_validate({**fields, **changes})
    return spec


def seen(name: str, ndim: int) -> Prediction:
    heads = golden.wanted(name, golden.heads(ndim, ndim))
    kinds = np.stack([heads["foreground"][0] > 0.5, heads["foreground"][0] > 0.8])
    return prediction({**heads, "instances": kinds.astype(np.float32)})


def said(cell: str, **letters: int) -> list[int]:
    """Bytes per voxel, strict and loose: `1 + K / 4 + 4K`; one number is for both."""
    found = []
    for side in re.sub(r"\+ \d+²|\(.*?\)|or \d+", "", cell).split("/"):
        terms = [re.fullmatch(r"(\d*)(?: · )?(\w*)", term.strip()) for term in side.split("+") if term.strip()]
        assert terms
        assert all(terms), cell
        found.append(sum(int(term[1] or 1) * letters.get(term[2], 1) for term in terms if term))
    return [found[0], found[-1]]


def test_every_post_processor_has_a_row() -> None:
    catalogue = Catalogue()
    kinds = {kind for name in SHIPPED for kind in catalogue.use(name).items["postprocessors"]}
    assert kinds == TABLE.keys() - {OTHER}


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", TABLE)
def test_a_method_keeps_as_many_bytes_of_a_voxel_as_the_table_says(name: str, ndim: int) -> None:
    spec, whole = made(name, ndim), seen(name, ndim)
    letters = {"D": ndim, "K": 4 * ndim, "C": int(np.prod(golden.PATCH[ndim])), "N": 2,
               "channels": sum(len(head) for head in whole.heads.values())}  # fmt: skip
    for loose, expected in zip((False, True), said(TABLE[name][2], **letters), strict=True):
        kept = pieces(spec, whole, loose=loose).read(whole.box, whole.box)
        if isinstance(kept, Prediction):
            held, voxels = kept.nbytes, whole.box.size
        elif isinstance(kept, Fragment):
            held = kept.instances.start.nbytes + kept.instances.length.nbytes
            voxels = len(kept.instances.start)
            assert voxels > len(kept.instances) > 0
        else:
            held, voxels = sum(value.nbytes for value in kept.values.values()), len(kept)
            every = voxels == whole.box.size
            assert every == (TABLE[name][1].startswith("every")), f"{voxels} voxels are kept"
        assert held == expected * voxels, f"loose: {loose}"


@pytest.mark.parametrize(("name", "changes"), [
    *((name, {"seeds": "votes"}) for name in ("three-label", "sdt", "affinities")), ("points", {"source": "votes"}),
])  # fmt: skip
def test_votes_take_eight_bytes_more_or_instead(name: str, changes: dict[str, str]) -> None:
    whole = seen(name, 2)
    kept = pieces(made(name, 2, **changes), whole).read(whole.box, whole.box)
    assert not isinstance(kept, Prediction)
    assert kept["target"].nbytes == 8 * len(kept)
    assert re.search(r"8²|or 8", TABLE[name][2])


@pytest.mark.parametrize("name", TABLE)
def test_passes_reach_and_exactness_are_as_the_table_says(name: str) -> None:
    spec = made(name, 2)
    passes, reach, exact = TABLE[name][3:]
    assert len(spec.passes()) == 1 + passes.count(";")
    assert [step.gathers for step in spec.passes()] == ([True] if passes == "gather" else [False] * len(spec.passes()))
    halo = {"P − 1": tuple(n - 1 for n in golden.PATCH[2]), "`halo`": (7, 7)}.get(reach, (0, 0))
    assert spec.halo(2) == halo
    assert spec.exact == exact.startswith("exact")
    assert ("in memory" in exact) == (spec.passes()[-1].gathers or name == "ppp")
    fragment = spec.passes()[-1].fragment
    assert ("by blocks" in exact) == (fragment is Instances or ("found" in fragment.__annotations__ and name != OTHER))
