"""The coarser levels of a copied image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.io import zarrimage
from toolkit.values.tiles import Box


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "float32"]),
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([1, 2, 3, 4, 8])), min_size=2, max_size=3),
    st.integers(0, 2**31),
)
def test_a_voxel_of_a_level_is_the_rounded_mean_of_those_it_stands_for(
    dtype: str, axes: list[tuple[int, int]], seed: int
) -> None:
    shape, step = tuple(n for n, _ in axes), tuple(s for _, s in axes)
    draw = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    low, high = (0, 1000) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    voxels = draw.integers(low, high, (2, *shape), dtype=np.int64, endpoint=True).astype(kind)
    coarse = tuple(-(-n // s) for n, s in zip(shape, step, strict=True))
    got = zarrimage._mean(lambda box: voxels, Box.whole(coarse), step, kind)
    for at in np.ndindex(2, *coarse):
        part = voxels[(at[0], *(slice(a * s, (a + 1) * s) for a, s in zip(at[1:], step, strict=True)))]
        # Halves are rounded to even, and a mean of means may miss one by the last bit.
        assert abs(float(got[at]) - part.astype(np.float64).mean()) <= 0.5 * (1 + 1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_sums_of_neighbours_give_the_bytes_of_means_of_means(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = np.iinfo(dtype)
    draw = np.random.default_rng(0)
    voxels = draw.integers(info.min, info.max, (2, 8, 64, 48), dtype=dtype, endpoint=True)
    step, whole = (2, 4, 8), Box.whole((4, 16, 6))
    quick = zarrimage._mean(lambda box: voxels, whole, step, np.dtype(dtype))
    monkeypatch.setattr(zarrimage, "_halved", lambda voxels, step: None)
    slow = zarrimage._mean(lambda box: voxels, whole, step, np.dtype(dtype))
    assert quick.dtype == slow.dtype
    assert np.array_equal(quick, slow)
