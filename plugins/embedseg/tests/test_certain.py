"""Block by block the instances are those of the whole image, however embeddings and bandwidths lie."""

from __future__ import annotations

import numpy as np
import pytest
from toolkit_embedseg import blocks
from toolkit_embedseg.cluster import EmbedSegClusters

from toolkit.api import Box
from toolkit.testing import Heads, Lattice, assemble, grid, pieces, prediction

UNIT = 1023


def scattered(shape: tuple[int, ...], rng: np.random.Generator) -> Heads:
    """Discs whose pixels embed themselves near their centre, more or less, with bandwidths of all sizes."""
    centres = rng.uniform(0, shape, (int(rng.integers(3, 60)), len(shape)))
    at = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    distance = np.sqrt(((at.T[..., None, :] - centres) ** 2).sum(-1)).T
    which = distance.argmin(0)
    away = np.moveaxis(centres[which], -1, 0) - at + rng.normal(0, rng.choice([0.1, 1, 5, 30]), at.shape)
    inside = distance.min(0) < rng.uniform(3, 9, len(centres))[which]
    sigma = rng.choice([1, 3, 6, 15]) * rng.uniform(0.5, 1.5, shape) / UNIT / np.sqrt(2 * np.log(2))
    return {
        "offsets": (away / UNIT).astype(np.float32),
        "bandwidth": np.stack([np.log(1 / (2 * sigma**2)) / 10] * len(shape)).astype(np.float32),
        "seediness": np.where(inside, (0.6 + 0.4 * rng.random(shape)).round(2), 0.1)[None].astype(np.float32),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_blocks_give_the_instances_and_scores_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = ((90, 100), (30, 34, 40))[seed % 2]
    spec = EmbedSegClusters(seed=0.8, foreground=0.5, min_size=int(rng.integers(1, 9)), grid=UNIT + 1)
    heads, size = prediction(scattered(shape, rng)), int(rng.choice([9, 17, 25]))
    one = assemble(spec, heads)
    lattice = Lattice(shape, tuple(min(24, n) for n in shape), (4,) * len(shape))
    many = assemble(spec, heads, grid([[*range(0, n, size), n] for n in shape]), lattice=lattice)
    assert many == one
    assert np.array_equal(many.scores, one.scores)


def row(width: int, gap: float) -> Heads:
    """A chain of instances each of which takes pixels that the one before leaves to it."""
    x = np.arange(width)
    sigma = gap / UNIT / np.sqrt(2 * np.log(2))
    shape = (1, width)
    return {
        "offsets": np.zeros((2, *shape), np.float32),
        "bandwidth": np.full((2, *shape), np.log(1 / (2 * sigma**2)) / 10, np.float32),
        "seediness": np.broadcast_to(0.99 - 0.0004 * x, (1, *shape)).astype(np.float32),
    }


def test_a_chain_through_all_blocks_is_settled_in_the_end() -> None:
    heads = prediction(row(400, 3.5))
    spec = EmbedSegClusters(seed=0.5, grid=UNIT + 1)
    cuts = grid([[0, 1], [*range(0, 400, 20), 400]])
    first, last = spec.passes()
    kept = pieces(spec, heads)
    state = first.reduce([first.local(kept.read(b.core, b.core), None, kept.backend) for b in cuts], None, kept.backend)
    parts = [
        last.local(kept.read(blocks.Leaning.around(state.window(b.core), b.core), b.core), state.window(b.core),
                   kept.backend) for b in cuts
    ]  # fmt: skip
    rest = [len(part.rest) for part in parts]
    assert rest[0] == 0, "nothing is surer than the first seeds"
    assert min(rest[3:]) > 0, "whoever does not see the beginning of the chain can conclude nothing"
    assert assemble(spec, heads, cuts) == assemble(spec, heads)


def test_a_block_reads_no_more_than_may_embed_itself_around_it() -> None:
    shape = (4, 400)
    heads = {
        "offsets": np.zeros((2, *shape), np.float32),
        "bandwidth": np.full((2, *shape), 1.5, np.float32),
        "seediness": np.full((1, *shape), 0.95, np.float32),
    }
    spec = EmbedSegClusters(grid=UNIT + 1)
    first, _ = spec.passes()
    kept = pieces(spec, prediction(heads))
    cuts = grid([[0, 4], [0, 100, 200, 300, 400]])
    state = first.reduce([first.local(kept.read(b.core, b.core), None, kept.backend) for b in cuts], None, kept.backend)
    reach = np.sqrt(np.log(2) / np.exp(15)) * UNIT + 0.1
    box = blocks.Leaning.around(state.window(cuts[1].core), cuts[1].core)
    assert Box((0, 100), (4, 200)) in box
    assert box.start[1] >= 100 - blocks.AROUND * reach - 2
    assert box.stop[1] <= 200 + blocks.AROUND * reach + 2
