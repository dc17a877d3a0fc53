from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from toolkit.errors import InputError
from toolkit.steps import normalise
from toolkit.steps.normalise import Normalise, fit
from toolkit.values.image import Image
from toolkit.values.tiles import Box

TYPES = [np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64]
KINDS = ["percentile", "mean_std", "range", "none"]


def images(dtype: type) -> st.SearchStrategy[np.ndarray]:
    elements = st.integers(0, 1) if dtype is np.bool_ else st.integers(0, 120)
    shapes = hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=8)
    return shapes.flatmap(lambda shape: hnp.arrays(np.int64, shape, elements=elements)).map(lambda a: a.astype(dtype))


@pytest.mark.parametrize("dtype", TYPES)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_percentiles_are_those_of_numpy(dtype: type, data: st.DataObject) -> None:
    array = data.draw(images(dtype))
    how = Normalise(low=data.draw(st.floats(0, 40)), high=data.draw(st.floats(60, 100)))
    low, high = np.percentile(array.astype(float), [how.low, how.high])
    scale = fit(Image.from_array(array), how)
    if high - low > 1e-9:
        assert scale.offset[0] == pytest.approx(low)
        assert 1 / scale.factor[0] == pytest.approx(high - low)
        wanted = ((array[None].astype(float) - low) / (high - low)).clip(-20, 20)
        assert scale(array[None]) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int16])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_the_histogram_of_short_integers_is_that_of_numpy(dtype: type, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalise, "CHUNK", data.draw(st.sampled_from([2, 7, 8, 2**19])))
        for seen in (array, array[..., ::-1], array[..., ::2], array.T):
            values, counts = normalise._histogram(Image.from_array(seen), 0)
            wanted = np.unique(seen.astype(np.int64), return_counts=True)
            assert (values.tolist(), counts.tolist()) == (wanted[0].tolist(), wanted[1].tolist())


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_a_hot_pixel_does_not_outshine_all_others(dtype: type) -> None:
    array = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(dtype)
    plain = fit(Image.from_array(array), Normalise())(array[None])
    array[3, 3] = 65535 if dtype is np.uint16 else 1e30
    scale = fit(Image.from_array(array), Normalise())
    assert scale(array[None])[0, 3, 3] == 20
    assert np.abs(scale(array[None]) - plain)[0, 4:].max() < 0.01
    assert scale.far == ""  # one pixel is no percentile
    assert fit(Image.from_array(array), Normalise(clip=None))(array[None])[0, 3, 3] > 300
    kinds = ("mean_std", "range", "none")
    assert [fit(Image.from_array(array), Normalise(kind=kind)).clip for kind in kinds] == [None] * 3


@pytest.mark.parametrize(
    ("dtype", "value", "rows", "said"),
    [
        (np.uint16, 65535, 6, "9.4 % of the values are 65535, far above all others"),
        (np.float32, -9999, 1, "1.6 % of the values are -9999, far below all others"),
        (np.float64, -3.4e38, 20, "31.2 % of the values are -3.4e+38, far below all others"),
        (np.int16, 32000, 0, ""),
        (np.uint8, 250, 6, ""),
        (np.uint16, 65535, 40, ""),
    ],
)
def test_values_far_from_all_others_are_said_where_they_are_the_scale(
    dtype: type, value: float, rows: int, said: str
) -> None:
    array = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(dtype)
    array[:rows] = value
    for chunk in (3, 2**19):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(normalise, "CHUNK", chunk)
            far = fit(Image.from_array(array), Normalise()).far
            assert far.startswith(said)
            assert bool(far) == bool(said)


@given(images(np.uint16))
def test_mean_and_deviation_are_those_of_numpy(array: np.ndarray) -> None:
    scaled = fit(Image.from_array(array), Normalise(kind="mean_std"))(array[None])
    if array.std() > 0:
        assert scaled.mean(dtype=float) == pytest.approx(0, abs=1e-4)
        assert scaled.std(dtype=float) == pytest.approx(1, abs=1e-4)


def test_range_divides_by_the_largest_value_of_the_type() -> None:
    array = np.array([[0, 255]], np.uint8)
    assert fit(Image.from_array(array), Normalise(kind="range"))(array).tolist() == [[0, 1]]
    assert fit(Image.from_array(array), Normalise(kind="none"))(array).tolist() == [[0, 255]]
    fractions = array.astype(np.float32)
    assert fit(Image.from_array(fractions), Normalise(kind="range"))(fractions).tolist() == [[0, 255]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_constant_image_is_told_and_stays_finite(kind: str, dtype: type) -> None:
    array = np.full((1, 5, 6), 7, dtype)
    scale = fit(Image.from_array(array, "CYX"), Normalise(kind=kind))
    assert scale.constant
    assert np.isfinite(scale(array)).all()


def test_a_sparse_image_is_scaled_by_its_few_values() -> None:
    array = np.zeros((100, 100), np.uint8)
    array[0, 0] = 200
    scale = fit(Image.from_array(array), Normalise())
    assert not scale.constant
    assert scale(array).max() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_no_numbers_become_zero_and_do_not_count(kind: str) -> None:
    array = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    spoilt = array.copy()
    spoilt[2, 3], spoilt[4, 5], spoilt[0, 1] = np.nan, np.inf, -np.inf
    scale = fit(Image.from_array(spoilt), Normalise(kind=kind))
    scaled = scale(spoilt[None])[0]
    assert scaled[2, 3] == scaled[4, 5] == scaled[0, 1] == 0
    assert np.isfinite(scaled).all()


def test_an_image_without_a_finite_value_is_an_input_error() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(InputError, match="no voxel has a finite value: cells, channel 0"):
            fit(Image.from_array(np.full((5, 6), value), name="cells"), Normalise())


def test_each_channel_has_its_own_scale() -> None:
    array = np.stack([np.arange(30), np.arange(30) * 5 + 7]).reshape(2, 5, 6).astype(np.uint8)
    scaled = fit(Image.from_array(array, "CYX"), Normalise(low=0, high=100))(array)
    assert np.allclose(scaled[0], scaled[1])
    assert (scaled.min(), scaled.max()) == (0, 1)


@given(images(np.float32), st.integers(1, 5))
def test_the_scale_does_not_depend_on_how_the_image_is_read(array: np.ndarray, voxels: int) -> None:
    for sample in (7, 2**24):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(normalise, "SAMPLE", sample)
            whole = fit(Image.from_array(array), Normalise())
            patch.setattr(normalise, "SLAB", voxels)
            pieces = fit(Image.from_array(array), Normalise())
        assert (whole.offset, whole.factor, whole.constant) == (pieces.offset, pieces.factor, pieces.constant)


def test_a_scale_is_pointwise() -> None:
    array = np.random.default_rng(0).random((2, 9, 10)).astype(np.float32)
    image = Image.from_array(array, "CYX")
    scale, box = fit(image, Normalise()), Box((2, 3), (7, 9))
    assert np.array_equal(scale(image.read(box)), scale(image.read())[(slice(None), *box.slices)])


def test_percentiles_outside_their_range_are_refused() -> None:
    for wrong in ({"low": -1}, {"high": 101}, {"kind": "minmax"}, {"gamma": 2}):
        with pytest.raises(ValidationError):
            Normalise(**wrong)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_what_is_scaled_is_of_32_bits(dtype: type) -> None:
    array = np.arange(30).reshape(5, 6).astype(dtype)
    image = Image.from_array(array)
    assert fit(image, Normalise())(image.read()).dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "base", "step"),
    [(np.uint32, 4_000_000_000, 1), (np.int64, 10**15, 1), (np.int32, -(2**31) + 10, 1), (np.float64, 0, 1e300)],
)
def test_numbers_beyond_the_digits_or_the_range_of_32_bits_are_told_apart(dtype: type, base: int, step: float) -> None:
    ramp = (base + step * np.arange(100)).astype(dtype).reshape(1, 10, 10)
    image = Image(ramp, "CYX", (1.0, 1.0), "x")
    seen = fit(image, Normalise(low=0, high=100))(ramp)
    assert seen.dtype == np.float32
    assert np.allclose(seen.reshape(-1), np.linspace(0, 1, 100), atol=1e-6)
