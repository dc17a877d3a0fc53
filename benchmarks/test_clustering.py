"""EmbedSeg clustering on a grid of embeddings against a straightforward torch loop over all pixels, in one run.

pytest benchmarks/test_clustering.py -s
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from toolkit_embedseg.cluster import EmbedSegClusters

from toolkit.gpu.backend import Backend
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box

GRID = 257


def crowd(shape: tuple[int, ...], objects: int, radius: float, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """What a good network says of `objects` balls: noisy offsets to their centres, seediness falling off outwards."""
    rng = np.random.default_rng(seed)
    ndim = len(shape)
    heads = {
        "offsets": rng.normal(0, 0.3 / (GRID - 1), (ndim, *shape)).astype(np.float32),
        "bandwidth": np.full((ndim, *shape), np.log((GRID - 1) ** 2 / (2 * (radius / 1.3) ** 2)) / 10, np.float32),
        "seediness": rng.uniform(0, 0.05, (1, *shape)).astype(np.float32),
    }
    reach = int(radius) + 1
    for centre in rng.uniform(reach, np.array(shape) - reach, (objects, ndim)):
        start = np.floor(centre).astype(int) - reach
        where = tuple(slice(s, s + 2 * reach + 1) for s in start)
        axes = np.meshgrid(
            *(np.arange(w.start, min(w.stop, n)) for w, n in zip(where, shape, strict=True)), indexing="ij"
        )
        gap = np.stack([c - a for c, a in zip(centre, axes, strict=True)])
        inside = (gap**2).sum(0) < radius**2
        seediness = (1 - 0.4 * (gap**2).sum(0) / radius**2 + rng.normal(0, 0.01, inside.shape)).clip(0, 1)
        heads["seediness"][0][where][inside] = seediness[inside]
        for d in range(ndim):
            heads["offsets"][d][where][inside] = (gap[d][inside] + rng.normal(0, 0.5, int(inside.sum()))) / (GRID - 1)
    return heads


def loop(spec: EmbedSegClusters, heads: dict[str, NDArray[np.float32]], most: int = 10**9) -> tuple[Instances, int]:
    """The paper's definition in torch, as one writes it first: every seed looks at every foreground pixel.

    Stops after `most` seeds; returns the instances and the number of seeds.
    """
    shape = heads["seediness"].shape[1:]
    inside = torch.from_numpy(heads["seediness"][0] > spec.foreground)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    voxel = torch.stack([a[inside] for a in axes]) / (spec.grid - 1)
    offset = torch.from_numpy(heads["offsets"])[:, inside].double()
    inverse = torch.exp(torch.from_numpy(10 * heads["bandwidth"])[:, inside]).double()
    seediness = torch.from_numpy(heads["seediness"][0])[inside].clone()
    label = torch.full((seediness.numel(),), -1)
    count = 0
    while count < most:
        seed = int(torch.argmax(seediness))
        if seediness[seed] < spec.seed:
            break
        gap = (voxel - voxel[:, seed, None]) + (offset - offset[:, seed, None])
        member = ((inverse[:, seed, None] * gap**2).sum(0) < np.log(2)) & (seediness > 0)
        label[member] = count
        seediness[member] = -1
        count += 1
    image = torch.zeros(shape, dtype=torch.int64)
    image[inside] = label + 1
    found = Instances.from_labels(image.numpy())
    return found.select(found.sizes >= spec.min_size), count


@pytest.mark.parametrize(
    ("shape", "objects", "radius", "must"), [((1024, 1024), 500, 14.0, 10), ((64, 512, 512), 1000, 8.0, 50)]
)
def test_clustering_is_many_times_as_fast_as_a_loop(benchmark, shape, objects, radius, must) -> None:
    heads = crowd(shape, objects, radius)
    spec = EmbedSegClusters(grid=GRID, seed=0.8, min_size=4)
    prediction = Prediction(heads, Box.whole(shape), Box.whole(shape), shape)
    torch.set_num_threads(1)
    mine = benchmark.pedantic(spec.assemble, (prediction, Backend()), rounds=3, warmup_rounds=1)
    ours = min(_timed(lambda: spec.assemble(prediction, Backend())) for _ in range(3))
    # A seed of the loop costs the same whichever it is: in 3-D twelve of them are timed, not a thousand (ten minutes).
    few = 10**9 if len(shape) == 2 else 12
    began = time.perf_counter()
    theirs, seeds = loop(spec, heads, few)
    naive = (time.perf_counter() - began) * (1 if len(shape) == 2 else len(mine) / seeds)
    if len(shape) == 2:
        assert mine == theirs
    else:
        corner = {name: np.ascontiguousarray(head[..., :64, :160, :160]) for name, head in heads.items()}
        box = Box.whole(corner["seediness"].shape[1:])
        assert spec.assemble(Prediction(corner, box, box, box.shape), Backend()) == loop(spec, corner)[0]
    ratio, size = naive / ours, "×".join(map(str, shape))
    print(f"\nclustering {size}, {len(mine)} objects: {ours:.3f} s, loop {naive:.1f} s, ×{ratio:.0f} (must ×{must})")
    assert ratio >= must


def _timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
