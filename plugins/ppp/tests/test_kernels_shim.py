"""The CUDA sources, run on the CPU, against the CPU's own functions; and that this can fail."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ppp_equality import CPU, compare, there
from ppp_scenes import options, prediction, scene
from toolkit_ppp import graph, panes, patches, rank
from toolkit_ppp.layout import Layout
from toolkit_ppp.options import MAX_VOXELS
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Box, OutOfMemory, kernels
from toolkit.testing import RawModule, assemble, grid
from toolkit.testing import simulated_gpu as device

quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BARRIER = "__syncthreads();"


@pytest.mark.slow
@settings(quiet, max_examples=20)
@given(st.integers(0, 999), options(2), st.booleans())
def test_2d_kernels_equal_the_cpu(seed, how, crowded) -> None:
    with device(seed) as gpu:
        compare(scene(seed, (12, 14), how.patch, crowded), how, gpu)


@pytest.mark.slow
@settings(quiet, max_examples=10)
@given(st.integers(0, 999), options(3), st.booleans())
def test_3d_kernels_equal_the_cpu(seed, how, crowded) -> None:
    with device(seed) as gpu:
        compare(scene(seed, (4, 6, 7), how.patch, crowded), how, gpu)


@pytest.mark.slow
@pytest.mark.parametrize("field", [
    {"vote": "normalised", "threshold": 0.7}, {"count": "decided"}, {"background": "half", "threshold": 0.3},
    {"sparse": False}, {"border": "drop"}, {"self_pairs": True}, {"paff_count": "in_range"},
    {"paff_count": "in_range", "self_pairs": True, "sparse": False}, {"cover_threshold": 0.3}, {"select": False},
    {"overlap": "highest_probability"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("patch", [(7, 3), (3, 3, 5)])
def test_each_option_equals_the_cpu(field, patch) -> None:
    how = PatchPerPix(patch=patch, **field)
    with device(7) as gpu:
        compare(scene(11, (13, 15) if len(patch) == 2 else (3, 7, 9), patch), how, gpu)


@pytest.mark.slow
@pytest.mark.parametrize("vote", ["product", "normalised"])
@pytest.mark.parametrize("patch", [(63, 63), (13, 43, 59)])
def test_the_largest_patches_and_sums_equal_the_cpu(patch, vote) -> None:
    assert np.prod(patch) <= MAX_VOXELS
    shape = (5, 6) if len(patch) == 2 else (2, 3, 3)
    rng = np.random.default_rng(0)
    heads = {
        "patches": np.where(rng.random((int(np.prod(patch)), *shape)) < 0.8, 1, 0).astype(np.float32),
        "foreground": np.ones((1, *shape), np.float32),
    }
    with device(1) as gpu:
        compare(prediction(heads), PatchPerPix(patch=patch, vote=vote), gpu)


def test_probabilities_at_the_edges_of_classes_have_the_same_codes() -> None:
    how = PatchPerPix(patch=(1, 1), threshold=0.7)
    edges = np.array([0, 1, 0.7, 0.3, 0.5, 2, -1, np.nan, np.inf, 0.5 / 255, 254.5 / 255], np.float32)
    values = np.concatenate([edges, np.nextafter(edges, np.float32(2)), np.nextafter(edges, np.float32(-2))])
    heads = {"patches": values.reshape(1, 3, 11), "foreground": np.ones((1, 3, 11), np.float32)}
    with device() as gpu:
        far = how.keep(there(prediction(heads), gpu), gpu)
        np.testing.assert_array_equal(far["codes"], how.keep(prediction(heads), CPU)["codes"])


def test_blocks_on_the_device_give_the_labels_of_the_whole_on_the_cpu() -> None:
    how = PatchPerPix(patch=(5, 3), self_pairs=True)
    seen = scene(3, (16, 19), how.patch)
    with device(2) as gpu:
        found = assemble(how, there(seen, gpu), grid([[0, 5, 16], [0, 11, 19]]), gpu)
    assert found == how.assemble(seen, CPU)


def test_an_empty_foreground_gives_no_instances() -> None:
    how = PatchPerPix(patch=(3, 3, 3))
    seen = scene(1, (3, 4, 5), how.patch)
    seen["patches"][:] = 0
    with device() as gpu:
        compare(seen, how, gpu)
        assert len(how.assemble(there(seen, gpu), gpu)) == 0


@pytest.mark.parametrize("limit", [0, 40_000])
def test_panes_of_any_size_give_the_same_numbers(limit, monkeypatch) -> None:
    how = PatchPerPix(patch=(5, 5), sparse=False)
    seen, filled = scene(4, (12, 14), how.patch), []
    one = panes.filled
    monkeypatch.setattr(panes, "filled", lambda *given: filled.append(found := one(*given)) or found)
    if not limit:
        monkeypatch.setattr(panes, "BUDGET", 0)
    with device(limit=limit or None) as gpu:
        compare(seen, how, gpu)
    assert len(filled) > (40 if not limit else 2)
    assert limit == 0 or max(f.affinities.nbytes for f in filled) <= limit


def test_edges_that_do_not_fit_are_found_in_halves(monkeypatch) -> None:
    how = PatchPerPix(patch=(3, 3), select=False)
    seen, boxes = scene(4, (12, 14), how.patch), []
    one = graph._cuda
    monkeypatch.setattr(graph, "_cuda", lambda patches, box, *more: boxes.append(box) or one(patches, box, *more))
    with device(limit=25_000) as gpu:
        compare(seen, how, gpu)
    done = [box for box in boxes if not any(other != box and other in box for other in boxes)]
    assert len(boxes) > len(done) > 1
    assert sum(box.size for box in done) == 12 * 14


def test_too_little_memory_for_anything_is_a_sentence() -> None:
    how = PatchPerPix(patch=(5, 5))
    seen = scene(4, (12, 14), how.patch)
    with device(limit=100) as gpu, pytest.raises(OutOfMemory, match="memory of the GPU does not suffice for a block"):
        how.assemble(there(seen, gpu), gpu)


def test_panes_partition_the_tiles_that_are_there() -> None:
    there_ = np.random.default_rng(0).random((5, 7, 9)) < 0.3
    times = np.zeros(there_.shape, int)
    found = panes.cut(there_, Box.whole(there_.shape), 6)
    for pane in found:
        assert 0 < there_[pane.slices].sum() <= 6
        times[pane.slices] += 1
    assert times.max() == 1
    assert (times[there_] == 1).all()


def test_python_and_the_kernels_agree_on_sizes() -> None:
    text = kernels.source(patches.KERNELS / "patches.cu")
    named = dict(re.findall(r"^#define (\w+) (-?\d+)", text, re.MULTILINE))
    assert {name: int(value) for name, value in named.items() if name != "RESIDENT"} == {
        "THREADS": patches.THREADS, "TILE": panes.TILE, "UNCOVERED": patches.UNCOVERED
    }  # fmt: skip


def test_positions_are_those_of_the_layout() -> None:
    layout = Layout((3, 5, 7))
    steps = [a * layout.strides[0] + b * layout.strides[1] + c for a, b, c in np.ndindex(layout.patch)]
    assert layout.positions().tolist() == steps
    assert steps[-1] == layout.length - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["consensus.cu", "rank.cu"])
def test_every_barrier_is_missed_under_some_order(name, monkeypatch) -> None:
    how = PatchPerPix(patch=(13, 13))
    seen = scene(2, (14, 15), how.patch)
    local = patches.read(how.keep(seen, CPU), how, CPU)
    box = Box.whole(local.shape)
    expected = rank.cpu(local, box, how, 1)
    original = kernels.source

    def right(without: int | None, seed: int) -> bool:
        def source(path):
            parts = original(path).split(BARRIER)
            if path.name == name and without is not None:
                parts[without : without + 2] = [parts[without] + parts[without + 1]]
            return BARRIER.join(parts)

        monkeypatch.setattr(kernels, "source", source)
        with device(seed) as gpu:
            far = patches.read(how.keep(there(seen, gpu), gpu), how, gpu)
            try:
                return bool((rank.cuda(far, box, how, gpu).get() == expected).all())
            except RuntimeError:
                return False

    assert all(right(None, seed) for seed in range(4))
    barriers = original(patches.KERNELS / name).count(BARRIER)
    assert barriers >= 3
    for k in range(barriers):
        assert not all(right(k, seed) for seed in range(4)), f"barrier {k} of {name} is not needed"


BRANCH = 'extern "C" __global__ void half(int *out) { if (threadIdx.x < 7) { out[0] = 1;\n __syncthreads(); } }'
TWO = """extern "C" __global__ void half(int *out) {
    if (threadIdx.x)
        __syncthreads();
    else
        __syncthreads();
}"""
LANES = 'extern "C" __global__ void half(int *out) { if (threadIdx.x) out[0] = __shfl_sync(0xffffffff, 3, 1); }'


@pytest.mark.slow
@pytest.mark.parametrize("code", [BRANCH, TWO, LANES])
def test_threads_that_wait_for_ever_are_found(code) -> None:
    with device() as gpu, pytest.raises(RuntimeError, match=r"half: deadlock: thread .* waits in line"):
        RawModule(code, ()).get_function("half")((1,), (32,), (gpu.xp.zeros(1, np.int32),))


def test_arguments_of_other_types_are_found() -> None:
    with device() as gpu, pytest.raises(RuntimeError, match="half: the kernel takes pi4 and is given pi8"):
        RawModule(BRANCH, ()).get_function("half")((1,), (32,), (gpu.xp.zeros(1, np.int64),))


def test_shuffles_move_values_between_lanes() -> None:
    code = """extern "C" __global__ void move(long long *out) {
        long long mine = 1ll << threadIdx.x % 32;
        for (int d = 16; d > 0; d /= 2) mine += __shfl_down_sync(0xffffffff, mine, d);
        int sum = threadIdx.x;
        for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffff, sum, d);
        out[threadIdx.x] = threadIdx.x % 32 ? sum : mine; }"""
    for seed in range(3):
        with device(seed) as gpu:
            out = gpu.xp.zeros(64, np.int64)
            RawModule(code, (), seed).get_function("move")((1,), (64,), (out,))
        assert out.get().reshape(2, 32)[:, [0, 1, 31]].tolist() == [[2**32 - 1, 496, 496], [2**32 - 1, 1520, 1520]]


def test_an_array_of_numpy_does_not_mix_with_those_of_the_device() -> None:
    with device() as gpu:
        far = gpu.xp.zeros(3, np.int64)
        for mixed in (lambda: far + np.ones(3), lambda: far[np.array([True] * 3)], lambda: np.stack([far])):
            with pytest.raises(TypeError):
                mixed()
