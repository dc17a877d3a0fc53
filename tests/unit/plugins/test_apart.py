"""Components that go on in other blocks are settled once, by the block in which they begin."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.builtin.postprocessors.watershed import Watershed
from toolkit.plugins.apart import crossing, own, rims
from toolkit.steps.connected import connected
from toolkit.testing.blockwise import assemble, pieces, prediction
from toolkit.values.tiles import Lattice, blocks


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([(19, 23), (9, 11, 13)]), st.integers(2, 8))
def test_each_group_is_settled_once_and_whole(seed: int, reach: int, shape: tuple[int, ...], size: int) -> None:
    rng = np.random.default_rng(seed)
    heads = {"foreground": (rng.random((1, *shape)) < rng.choice([0.1, 0.3, 0.6])).astype(np.float32)}
    kept = pieces(Watershed(), prediction(heads), Lattice(shape, (size,) * len(shape), (0,) * len(shape)))
    cores = [block.core for block in blocks(kept.lattice, size)]
    parts = [rims(kept.read(core, core), reach) for core in cores]
    groups, others = crossing(parts, reach), crossing([parts[k] for k in rng.permutation(len(parts))], reach)
    assert np.array_equal(groups.first, others.first)
    assert np.array_equal(groups.boxes, others.boxes)
    found = []
    for core in cores:
        mine = groups.window(core)
        voxels = own(kept.read(mine.around(core), core), mine, reach)
        label = connected(voxels.start, voxels.length, shape, reach)
        found += [frozenset(voxels.index[np.repeat(label, voxels.length) == k].tolist()) for k in np.unique(label)]
    whole = kept.read(blocks(kept.lattice, None)[0].core, blocks(kept.lattice, None)[0].core)
    label = np.repeat(connected(whole.start, whole.length, shape, reach), whole.length)
    assert sorted(map(sorted, found)) == sorted(sorted(whole.index[label == k].tolist()) for k in np.unique(label))


def test_blocks_give_the_objects_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    heads = prediction({"foreground": (rng.random((1, 60, 70)) < 0.62).astype(np.float32)})
    spec = Watershed(min_size=1)
    one = assemble(spec, heads)
    many = assemble(
        spec, heads, blocks(Lattice((60, 70), (16, 16), (0, 0)), 16), lattice=Lattice((60, 70), (16, 16), (0, 0))
    )
    assert many == one
    assert np.array_equal(many.scores, one.scores)
