"""Who makes crops, and that nobody can tell from them who did."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import nuclei
from tests.unit.training.test_crops import recipe, same
from toolkit.errors import InputError
from toolkit.io import open_dataset
from toolkit.training import feed as module
from toolkit.training.data import Crops
from toolkit.training.feed import Feed, wanted
from toolkit.training.feeder import Feeder

STEPS = 14


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nuclei(tmp_path_factory.mktemp("nuclei") / "data")


def crops(data: Path, **training: Any) -> Crops:
    return Crops(open_dataset(f"{data}:train"), recipe(**training))


@given(st.floats(1e-3, 10), st.floats(1e-3, 10), st.integers(1, 64))
def test_processes_make_up_for_what_crops_take_longer_than_steps(making: float, step: float, most: int) -> None:
    count = wanted(making, step, most)
    assert (count == 0) == (making <= step)
    if making > step:
        assert count == most or making / count <= step
        assert 1 <= count <= most


@pytest.mark.slow
@pytest.mark.parametrize("slow", [False, True])
def test_batches_are_the_same_whoever_makes_them(data: Path, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    expected = [crops(data, accumulate=2).batches(step) for step in range(STEPS)]
    monkeypatch.setattr(module, "median", lambda times: 1.0 if slow and times is feed._making else 0.3)
    said: list[str] = []
    with Feed(crops(data, accumulate=2), most=2, say=said.append) as feed:
        found = [feed(step) for step in range(STEPS)]
        assert len(feed._feeders) == (2 if slow else 0)
    assert all(len(one) == 2 for one in found)
    assert all(same(a, b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True))
    assert said == (["crops  made by 2 processes: the network would wait for a thread"] if slow else [])


def test_a_process_gives_arrays_that_may_be_written(data: Path) -> None:
    feeder = Feeder(crops(data), None, 1)
    try:
        assert feeder.ready.result()
        (batch,) = feeder.ask(3).result() or ()
    finally:
        feeder.close()
    assert all(array.flags.writeable for array in batch.values())
    assert same(batch, crops(data).batch(3))


def test_a_feed_may_begin_anywhere(data: Path) -> None:
    with Feed(crops(data), most=1) as feed:
        assert same(feed(7)[0], crops(data).batch(7))


@pytest.mark.slow
def test_where_processes_cannot_begin_the_thread_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = crops(data)
    monkeypatch.setattr(module, "median", lambda times: 1.0 if times is feed._making else 0.3)
    with Feed(source, most=2) as feed:
        source.data = replace(source.data, split="nowhere")
        found = [feed(step) for step in range(STEPS)]
        assert feed._feeders == []
    assert same(found[-1][0], crops(data).batch(STEPS - 1))


@pytest.mark.slow
def test_a_process_that_dies_is_made_up_for(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "median", lambda times: 1.0 if times is feed._making else 0.3)
    with Feed(crops(data), most=2) as feed:
        for step in range(10):
            feed(step)
        assert len(feed._feeders) == 2
        feed._feeders[0]._process.kill()
        found = {step: feed(step) for step in range(10, STEPS)}
    assert all(same(one[0], crops(data).batch(step)) for step, one in found.items())


def test_an_error_in_a_process_is_the_one_that_the_thread_would_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nuclei(tmp_path / "data", train=1)
    monkeypatch.setattr(module, "median", lambda times: 1.0 if times is feed._making else 0.3)
    source = crops(folder)
    with Feed(source, most=1) as feed:
        for step in range(module.LOOK):
            feed(step)
        (folder / "images" / "t0.tif").write_bytes(b"II*\0 broken")
        source._cache.clear()
        with pytest.raises(InputError, match=r"t0\.tif"):
            [feed(step) for step in range(module.LOOK, STEPS)]


@pytest.mark.slow
def test_a_feed_leaves_no_process_behind(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "median", lambda times: 1.0 if times is feed._making else 0.3)
    with Feed(crops(data), most=2) as feed:
        for step in range(10):
            feed(step)
        processes = [feeder._process for feeder in feed._feeders]
        assert [p.poll() for p in processes] == [None, None]
    assert all(p.poll() is not None for p in processes)


def test_the_next_batch_is_made_while_a_step_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = crops(data)
    made: list[int] = []
    whole = source.batches
    monkeypatch.setattr(source, "batches", lambda step: made.append(step) or whole(step))
    with Feed(source, most=1) as feed:
        feed(0)
        until = time.monotonic() + 20
        while 1 not in made and time.monotonic() < until:
            time.sleep(0.01)
    assert made[:2] == [0, 1]
    assert np.array_equal(made, sorted(made))
