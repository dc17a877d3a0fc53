"""What minutes buy: few steps are made more by fewer crops at once."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import nuclei
from tests.unit.training.test_training import Stopped, recipe, stop_after
from toolkit.training.loop import TIMED
from toolkit.training.minutes import FEW, fewer
from toolkit.training.start import train


@given(st.integers(0, 10**6), st.integers(1, 64), st.floats(0.05, 1))
def test_few_steps_take_fewer_crops_at_once(steps: int, batch: int, share: float) -> None:
    found = fewer(steps, batch, share)
    assert 1 <= found <= batch
    if steps >= FEW * share:
        assert found == batch
    elif found > 1:
        assert steps * batch / found >= 2 * FEW * share * 0.999


class Clock:
    """A second goes by each time that it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return nuclei(tmp_path / "data", train=2, val=1)


@pytest.mark.slow
def test_a_training_with_too_few_steps_goes_on_with_fewer_crops_and_says_so(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    wanted = recipe(steps=1000, batch=4)
    done = train(wanted, data, tmp_path / "run", threads=1, minutes=4.0, say=said.append, clock=Clock())
    assert [line for line in said if "goes on with 1 crop(s) of [16, 16] at once" in line] == said[:1], said
    about = json.loads((tmp_path / "run" / "training.json").read_text())
    assert about["smaller"] == ["training.batch=1"]
    with (tmp_path / "run" / "log.csv").open() as stream:
        steps = [int(row["step"]) for row in csv.DictReader(stream)]
    assert steps == list(range(1, done.progress.steps + 1))
    assert len(steps) > TIMED
    # Killed after that and resumed, it is the same training: but for its seconds, which are new ones.
    with pytest.raises(Stopped):
        train(wanted, data, tmp_path / "cut", threads=1, minutes=4.0, tell=stop_after(TIMED + 2), clock=Clock())
    again = train(wanted, data, tmp_path / "cut", threads=1, minutes=4.0, resume=True, clock=Clock())
    assert json.loads((tmp_path / "cut" / "training.json").read_text())["smaller"] == ["training.batch=1"]
    assert again.progress.step > TIMED


@pytest.mark.slow
def test_a_batch_that_somebody_has_said_stays(data: Path, tmp_path: Path) -> None:
    wanted = recipe(steps=1000, batch=4)
    done = train(
        wanted, data, tmp_path / "run", threads=1, minutes=4.0, held=("training.batch", "min_size"), clock=Clock()
    )
    about = json.loads((tmp_path / "run" / "training.json").read_text())
    assert "smaller" not in about
    assert done.score is not None
    assert done.score.postprocess["min_size"] == 4
