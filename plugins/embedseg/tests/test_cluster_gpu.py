"""The clustering of a GPU gives the labels of the CPU: on a real one, and with the kernel's threads on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cluster import random_heads, whole
from toolkit_embedseg.cluster import EmbedSegClusters

from toolkit.api import Backend
from toolkit.testing import need_gpu, prediction
from toolkit.testing import simulated_gpu as device

CASES = [
    ({}, (40, 50)),
    ({"claim": "overwrite", "min_size": 12}, (40, 50)),
    ({"seeds": "local_maxima"}, (12, 20, 21)),
    ({"anisotropy": (2.0, 1.0, 1.0), "min_size": 5}, (9, 20, 17)),
    ({"seed": 0.99, "foreground": 0.99}, (6, 7)),
]


def equal(options: dict, shape: tuple[int, ...], seed: int, gpu: Backend) -> None:
    heads = random_heads(np.random.default_rng(seed), shape, 64)
    spec = EmbedSegClusters(**{"grid": 64, "seed": 0.8} | options)
    found = spec.assemble(prediction(dict(heads), backend=gpu), gpu)
    expected = spec.assemble(whole(heads), Backend())
    assert found == expected
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.slow
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(("options", "shape"), CASES)
def test_the_kernel_gives_the_same_labels_in_any_order_of_its_threads(
    options: dict, shape: tuple[int, ...], order: int
) -> None:
    with device(seed=order) as gpu:
        equal(options, shape, 7 + order, gpu)


@pytest.mark.gpu
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CASES))
def test_a_gpu_gives_the_labels_of_the_cpu(seed: int, case: tuple[dict, tuple[int, ...]]) -> None:
    options, shape = case
    equal(options, shape, seed, need_gpu())
    if len(shape) == 2:
        equal(options, (200, 300), seed, need_gpu())
