"""The loop: step n depends on the seed, n and the weights before it, and on nothing else."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.samples import nuclei
from toolkit.errors import InputError, Interrupted, StorageError, UsageError
from toolkit.files.lock import held
from toolkit.gpu.backend import Backend
from toolkit.io import open_dataset
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.sections import Learning
from toolkit.registry import package, resolve
from toolkit.steps.choice import Learnt
from toolkit.training import checkpoint, team
from toolkit.training import loop as module
from toolkit.training import run as folder
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.data import Crops
from toolkit.training.loop import loop
from toolkit.training.minutes import FEWEST, SHARE, affordable, apart
from toolkit.training.provenance import recipe_of
from toolkit.training.run import Run
from toolkit.training.sizes import learnt as learnt_sizes
from toolkit.training.start import train
from toolkit.training.step import descend, rate, settle
from toolkit.training.team import follow
from toolkit.training.training import Training
from toolkit.training.validate import Validation

STEPS = 9


def seeing(recipe: Recipe, data: Path) -> Recipe:
    """With what a training stores: the channel of images of one, the sizes of the objects."""
    learnt = recipe.input.model_copy(update={"learnt": Learnt(channels=(0,), of=1)})
    return learnt_sizes(recipe.model_copy(update={"input": learnt}), open_dataset(f"{data}:train"))


def recipe(**training: Any) -> Recipe:
    usual = {"crop": [16, 16], "batch": 2, "steps": STEPS, "learning_rate": 0.01, "average": 0.9}
    return Recipe.parse(
        {
            "name": "small",
            "network": {"kind": "unet", "maps": [4, 8], "dropout": 0.2},
            "loss": {"kind": "bce_dice"},
            "postprocess": {"kind": "threshold", "min_size": 4},
            "tiling": {"window": [16, 16], "overlap": 4},
            "training": usual | training,
        },
        Catalogue(allow=()),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nuclei(tmp_path_factory.mktemp("nuclei") / "data", train=2, val=1)


def begin(
    data: Path,
    out: Path,
    wanted: Recipe,
    every: int | None = 2,
    resume: bool = False,
    minutes: float | None = None,
    threads: int = 1,
    **options: Any,
) -> Progress:
    """The loop itself, with validations so near to each other that a short run has some."""
    out.mkdir(exist_ok=True)
    (out / package.RECIPE).write_text(wanted.dump())
    crops, validation = Crops(open_dataset(f"{data}:train"), wanted), Validation(open_dataset(f"{data}:val"))
    training = Training(Run(out, wanted, None, threads, resume), Backend(), wanted.training.steps, minutes)
    return loop(training, validation, crops.batches, every=every, **options)


def result(out: Path) -> tuple[list[dict[str, str]], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Rows of the log without their times, last state and best weights."""
    with (out / "log.csv").open() as stream:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    return rows, load_file(out / LAST), load_file(out / package.WEIGHTS)


def assert_same(one: Path, other: Path) -> None:
    (rows, last, best), (rows_2, last_2, best_2) = result(one), result(other)
    assert rows == rows_2
    for a, b in ((last, last_2), (best, best_2)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


class Stopped(Exception):
    """Somebody pulled the plug."""


def stop_after(number: int):
    def tell(report: Any) -> None:
        if report.progress.step == number:
            raise Stopped

    return tell


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time of a training as short as these."""
    monkeypatch.setattr(folder, "draw", lambda *_: None)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    begin(data, out, recipe())
    return out


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, 6, 8])
def test_a_training_that_was_stopped_and_resumed_is_one_that_was_not(
    data: Path, tmp_path: Path, undisturbed: Path, at: int
) -> None:
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", recipe(), tell=stop_after(at))
    begin(data, tmp_path / "run", recipe(), resume=True)
    assert_same(tmp_path / "run", undisturbed)


def test_it_may_be_stopped_again_and_again(data: Path, tmp_path: Path, undisturbed: Path) -> None:
    for at in (3, 5, 7):
        with pytest.raises(Stopped):
            begin(data, tmp_path / "run", recipe(), tell=stop_after(at), resume=True)
    begin(data, tmp_path / "run", recipe(), resume=True)
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_it_goes_on_in_the_numbers_in_which_it_was_begun(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint may come from a machine that computes 16 bits faster than this one, or the other way round."""
    ends = []
    for half in (True, False):
        monkeypatch.setattr(team, "short", lambda _, half=half: half)
        begin(data, tmp_path / f"whole {half}", recipe(steps=5))
        out = tmp_path / f"parts {half}"
        with pytest.raises(Stopped):
            begin(data, out, recipe(steps=5), tell=stop_after(3))
        monkeypatch.setattr(team, "short", lambda _, half=half: not half)
        begin(data, out, recipe(steps=5), resume=True)
        assert_same(out, tmp_path / f"whole {half}")
        assert read_progress(out / LAST).half == half
        ends.append(load_file(out / LAST))
    assert any(not torch.equal(value, ends[1][name]) for name, value in ends[0].items())


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_every_optimiser_is_resumed_exactly(data: Path, tmp_path: Path, optimiser: str) -> None:
    wanted = recipe(optimiser=optimiser, schedule="cosine", warmup=3, steps=5)
    begin(data, tmp_path / "whole", wanted)
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", wanted, tell=stop_after(3))
    begin(data, tmp_path / "run", wanted, resume=True)
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_a_finished_training_that_is_resumed_stays_as_it_is(data: Path, tmp_path: Path, undisturbed: Path) -> None:
    begin(data, tmp_path / "run", recipe())
    before = (tmp_path / "run" / LAST).read_bytes()
    assert begin(data, tmp_path / "run", recipe(), resume=True).step == STEPS
    assert (tmp_path / "run" / LAST).read_bytes() == before
    assert_same(tmp_path / "run", undisturbed)


def test_another_seed_gives_another_training(data: Path, tmp_path: Path, undisturbed: Path) -> None:
    begin(data, tmp_path / "run", recipe(seed=1))
    assert result(tmp_path / "run")[0] != result(undisturbed)[0]


def test_a_run_holds_what_it_promises(undisturbed: Path) -> None:
    rows, _, best = result(undisturbed)
    assert [int(r["step"]) for r in rows] == list(range(1, STEPS + 1))
    assert [int(r["step"]) for r in rows if r["score"]] == [2, 4, 6, 8, 9]
    scores = {int(r["step"]): float(r["score"]) for r in rows if r["score"]}
    progress = read_progress(undisturbed / LAST)
    assert progress.best == pytest.approx(max(scores.values()), abs=1e-5)
    assert progress.best_step == min(s for s, v in scores.items() if v == max(scores.values()))
    assert (undisturbed / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in undisturbed.iterdir()} == {LAST, package.WEIGHTS, package.RECIPE, "log.csv", "curve.png"}
    built = resolve.load(str(undisturbed), Catalogue(allow=())).build()
    assert all(torch.equal(value, best[name]) for name, value in built.state_dict().items())


KILL = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from tests.unit.training.test_training import begin, recipe

def tell(report):
    if report.progress.step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

begin(Path(sys.argv[1]), Path(sys.argv[2]), recipe(), tell=tell, resume=True)
"""


@pytest.mark.slow
def test_a_training_that_was_killed_is_resumed_exactly(data: Path, tmp_path: Path, undisturbed: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", KILL, str(data), str(tmp_path / "run"), "5", root]
    assert subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode == -signal.SIGKILL
    begin(data, tmp_path / "run", recipe(), resume=True)
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_a_training_killed_while_it_writes_leaves_what_it_had(
    data: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = []

    def save(path: Path, *state: Any) -> None:
        saves.append(path)
        if len(saves) == 3:
            path.with_name(path.name + ".partial").write_bytes(b"half")
            raise Stopped
        whole(path, *state)

    whole = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", recipe())
    assert read_progress(tmp_path / "run" / LAST).step == 4
    monkeypatch.undo()
    begin(data, tmp_path / "run", recipe(), resume=True)
    assert_same(tmp_path / "run", undisturbed)


def test_another_number_of_threads_is_refused(data: Path, tmp_path: Path) -> None:
    begin(data, tmp_path / "run", recipe(steps=2))
    with pytest.raises(InputError, match="another number of threads: 1, now 2; resume with --threads 1"):
        begin(data, tmp_path / "run", recipe(steps=2), threads=2, resume=True)


@given(
    st.floats(1, 1e6), st.floats(1e-3, 50), st.floats(1e-3, 500), st.integers(1, 30), st.integers(1, 24)
)  # fmt: skip
def test_minutes_are_kept_with_all_validations(
    seconds: float, pace: float, image: float, times: int, most: int
) -> None:
    steps, images = affordable(seconds, pace, image, times, most)

    def used(steps: int) -> float:
        return steps * pace + math.ceil(steps / apart(steps, times)) * images * image

    assert used(steps) <= seconds * 1.001
    assert min(FEWEST, most) <= images <= most
    assert images in (most, FEWEST) or used(steps) - steps * pace <= SHARE * seconds * 1.001
    assert math.ceil(steps / apart(steps, times)) <= times
    if images > FEWEST:  # one step more may ask for one validation more, and that for the fewest images at least
        assert steps * pace >= (1 - SHARE) * seconds - 2 * pace - FEWEST * image
    assert affordable(-1.0, pace, image, times, most)[0] == 0


def test_minutes_become_steps_that_are_stored_and_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMED", 4)
    monkeypatch.setattr(module, "affordable", lambda *_: (5, 1))
    monkeypatch.setattr(module, "fewer", lambda steps, batch, share: batch)
    wanted = recipe(steps=1000)
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", wanted, every=1000, minutes=1.0, tell=stop_after(6))
    assert read_progress(tmp_path / "run" / LAST).steps == 9  # 4 + 5, stored at once
    monkeypatch.setattr(module, "affordable", lambda *_: (99, 1))
    assert begin(data, tmp_path / "run", wanted, every=1000, minutes=1.0, resume=True).step == 9
    rows = result(tmp_path / "run")[0]
    assert [int(r["step"]) for r in rows] == list(range(1, 10))
    assert [int(r["step"]) for r in rows if r["score"]] == [9]
    assert float(rows[5]["learning_rate"]) == pytest.approx(rate(wanted.training, 5, 9))


def test_the_rate_rises_in_the_warm_up_and_falls_as_the_schedule_says() -> None:
    for schedule, half in (("poly", 0.5**0.9), ("cosine", 0.5), ("constant", 1.0)):
        training = Learning(learning_rate=2.0, schedule=schedule, warmup=4)
        assert [rate(training, n, 10**9) for n in range(5)] == pytest.approx([0.5, 1, 1.5, 2, 2], rel=1e-6)
        assert rate(training, 500, 1000) == pytest.approx(2 * half)
        assert rate(training, 1000, 1000) == pytest.approx(2.0 if schedule == "constant" else 0.0)


def test_a_short_training_has_a_short_warm_up() -> None:
    training = Learning(learning_rate=2.0, schedule="constant", warmup=50)
    assert [rate(training, n, 40) for n in range(5)] == [0.5, 1, 1.5, 2, 2]
    assert rate(training, 0, 9) == 2
    assert [rate(training, n, 500) for n in (0, 24, 49)] == pytest.approx([0.04, 1, 2])


def test_batch_normalisation_settles_at_the_end_of_a_training_that_is_not_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = torch.nn.Sequential(torch.nn.BatchNorm2d(2)).train()
    settle(kept, 0.5, 299, 300)
    assert kept[0].training
    settle(kept, 0.5, 300, 600)
    assert not kept[0].training
    monkeypatch.setattr("toolkit.training.step.UNSETTLED", 0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.Dropout(0.5)).train()
    modes = []
    for number in range(8):
        module.train()
        settle(module, 0.25, number, 8)
        modes.append([layer.training for layer in module])
    assert modes == 6 * [[True, True, True]] + 2 * [[True, False, True]]
    settle(module.train(), 0.0, 7, 8)
    assert all(layer.training for layer in module)


def test_what_has_settled_changes_no_more(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.training.step.UNSETTLED", 0)
    network = '{"kind": "unet", "maps": [4, 8], "norm": "batch"}'
    wanted = recipe(settle=0.5, steps=8).changed([f"network={network}"], Catalogue(allow=()))
    with pytest.raises(Stopped):
        begin(data, tmp_path / "half", wanted, every=1, tell=stop_after(4))
    begin(data, tmp_path / "whole", wanted, every=1)
    half, whole = (load_file(tmp_path / name / LAST) for name in ("half", "whole"))
    means = [name for name in half if name.endswith("running_mean") and not name.startswith("average")]
    weights = [name for name in half if name.endswith("conv.weight") and not name.startswith("average")]
    assert means
    assert weights
    assert all(torch.equal(half[name], whole[name]) for name in means)
    assert not any(torch.equal(half[name], whole[name]) for name in weights)


def test_an_average_of_decay_zero_is_the_weights() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = {name: torch.full_like(value, 9) for name, value in network.state_dict().items()}
    follow(average, network, 0.0, 1000)
    assert all(torch.equal(average[name], value) for name, value in network.state_dict().items())
    network.weight.data.fill_(5.0)
    follow(average, network, 0.9, 1000)
    assert average["weight"].tolist() == pytest.approx([1.4, 1.4])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training_with_a_sentence(value: float) -> None:
    network = torch.nn.Conv2d(1, 1, 1)
    before = [p.clone() for p in network.parameters()]

    def criterion(_: Any, voxels: torch.Tensor, __: Any) -> dict[str, torch.Tensor]:
        found = network(voxels).mean()
        return {"good": found, "bad": found * value}

    updates = torch.optim.SGD(network.parameters(), lr=1.0)
    team: Any = None
    batch = {"voxels": np.ones((1, 1, 4, 4), np.float32)}
    with pytest.raises(UsageError, match="the loss is no number any more: step 13, bad; train anew with a lower"):
        descend(criterion, team, updates, [batch], 12, Backend())
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_divergent_training_leaves_the_best_weights(data: Path, tmp_path: Path) -> None:
    wanted = recipe(learning_rate=1e30, optimiser="sgd", average=0.0)
    with pytest.raises(UsageError, match="the loss is no number any more: step"):
        begin(data, tmp_path / "run", wanted, every=1)
    assert (tmp_path / "run" / package.WEIGHTS).is_file()
    assert all(torch.isfinite(v.float()).all() for v in load_file(tmp_path / "run" / package.WEIGHTS).values())


def test_a_folder_is_begun_resumed_and_protected(data: Path, tmp_path: Path) -> None:
    out, wanted = tmp_path / "deep" / "run", recipe(steps=2)
    done = train(wanted, data, out, device="cpu", threads=1, owner=None)
    assert (done.progress.step, done.progress.threads) == (2, 1)
    assert recipe_of(out, Catalogue(allow=())) == (seeing(wanted, data), None)
    record = json.loads((out / "training.json").read_text())
    assert (record["train"], record["val"], record["threads"]) == (2, 1, 1)
    assert record["distributions"] == {"builtin": "seg-toolkit"}
    with pytest.raises(UsageError, match=r"the output exists: .*; choose another -o, or say --resume"):
        train(wanted, data, out, device="cpu")
    with pytest.raises(UsageError, match=r"begun with another recipe: training; resume without --set"):
        train(recipe(steps=3), data, out, device="cpu", resume=True)
    assert train(wanted, data, out, device="cpu", resume=True) == done  # with its number of threads
    with held(out), pytest.raises(StorageError, match="another run writes to this output"):
        train(wanted, data, out, device="cpu", resume=True)


def test_other_images_are_not_mixed_into_a_run(data: Path, tmp_path: Path) -> None:
    out, wanted = tmp_path / "run", recipe(steps=1)
    train(wanted, data, out, device="cpu", threads=1)
    moved = nuclei(tmp_path / "moved", train=2, val=1)
    train(wanted, moved, out, device="cpu", resume=True)
    with pytest.raises(UsageError, match="begun with other images"):
        train(wanted, nuclei(tmp_path / "more", train=3, val=1), out, device="cpu", resume=True)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(data: Path, tmp_path: Path) -> None:
    out, wanted = tmp_path / "run", recipe(steps=1)
    train(wanted, data, out, device="cpu", threads=1)
    for name in (LAST, package.WEIGHTS):
        (out / name).unlink()
    (out / "now.safetensors").write_bytes(b"half")
    (out / ".seg-0123456789abcdef.partial").write_bytes(b"half")
    (out / "log.csv").write_text("step,seconds,learning_rate,loss,score\n1,0,0,1,\n")
    assert train(wanted, data, out, device="cpu", threads=1, resume=True).progress.step == 1
    assert len(result(out)[0]) == 1
    assert not list(out.glob(".seg-*"))


USED = ["recipe.yaml", "training.json", "best.safetensors", "now.safetensors", "log.csv", "curve.png"]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", USED)
def test_a_file_that_no_training_wrote_is_not_written_over(data: Path, tmp_path: Path, name: str, resume: bool) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=r"exists|no training wrote this"):
        train(recipe(steps=1), data, tmp_path / "run", device="cpu", threads=1, resume=resume)
    assert [(p.name, p.read_text()) for p in (tmp_path / "run").iterdir()] == [(name, '{"mine": 1}')]


@pytest.mark.parametrize("name", [*USED, "last.safetensors"])
def test_a_training_follows_no_link(data: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match=r"a link is not written over|the output exists"):
        train(recipe(steps=1), data, tmp_path / "run", device="cpu", threads=1)
    assert not (tmp_path / "victim").exists()
    assert (tmp_path / "run" / name).is_symlink()


def test_an_interruption_says_what_to_do(data: Path, tmp_path: Path) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"interrupted: .*run; --resume goes on from step 1"):
        train(recipe(steps=1), data, tmp_path / "run", device="cpu", threads=1, tell=interrupt)


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="this is no folder"):
        train(recipe(), data, tmp_path / "file", device="cpu")
    for out in (tmp_path / "file" / "run", tmp_path / ("long" * 80)):
        with pytest.raises(StorageError, match="cannot write the run"):
            train(recipe(), data, out, device="cpu")


def test_a_data_file_that_cannot_be_read_is_not_the_fault_of_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("toolkit.io.dataset.Dataset.truth", broken)
    with pytest.raises(InputError, match=r"cannot be read any more: .*t0.tif; Input/output error"):
        train(recipe(), data, tmp_path / "run", device="cpu", threads=1)


def test_a_full_disk_is_the_fault_of_the_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(StorageError, match=r"cannot write the run: .*run \(No space left on device\); free space"):
        train(recipe(), data, tmp_path / "run", device="cpu", threads=1)


def test_a_run_that_was_tuned_is_resumed_with_the_recipe_that_it_was_begun_with(data: Path, tmp_path: Path) -> None:
    out, wanted = tmp_path / "run", recipe(steps=1)
    done = train(wanted, data, out, device="cpu", threads=1)
    tuned = wanted.changed(["postprocess.foreground=0.7"], Catalogue(allow=()))
    (out / package.RECIPE).write_text(tuned.dump())
    assert recipe_of(out, Catalogue(allow=())) == (seeing(wanted, data), None)
    again = train(wanted, data, out, device="cpu", resume=True)
    assert again.progress == done.progress
    assert again.score is None  # what was said then is not what the recipe gives now
    assert (out / package.RECIPE).read_text() == tuned.dump()


def test_other_weights_of_images_are_other_data(tmp_path: Path) -> None:
    folder, out = nuclei(tmp_path / "data", train=2, val=1), tmp_path / "run"
    train(recipe(steps=1), folder, out, device="cpu", threads=1)
    (folder / "weights.csv").write_text("name,weight\nt0,2\n")
    with pytest.raises(UsageError, match="begun with other images"):
        train(recipe(steps=1), folder, out, device="cpu", resume=True)


def test_a_model_to_start_from_must_have_the_network_of_the_recipe(data: Path, tmp_path: Path) -> None:
    train(recipe(steps=1), data, tmp_path / "first", device="cpu", threads=1)
    start = resolve.load(str(tmp_path / "first"), Catalogue(allow=()))
    other = recipe().changed(["network.maps=[4, 4]"], Catalogue(allow=()))
    with pytest.raises(UsageError, match="network of the model, without its heads, is not that of the recipe"):
        train(other, data, tmp_path / "second", device="cpu", model=start)
    assert not (tmp_path / "second").exists()
    wanted = recipe(steps=1, learning_rate=1e-30, average=0.0)
    train(wanted, data, tmp_path / "second", device="cpu", threads=1, model=start)
    weights = load_file(tmp_path / "second" / package.WEIGHTS)
    assert torch.equal(weights["out.weight"], load_file(tmp_path / "first" / package.WEIGHTS)["out.weight"])


def test_heads_that_a_model_has_not_begin_anew_in_its_network(data: Path, tmp_path: Path) -> None:
    train(recipe(steps=1), data, tmp_path / "first", device="cpu", threads=1)
    start, said = resolve.load(str(tmp_path / "first"), Catalogue(allow=())), list[str]()
    more = recipe(steps=1, learning_rate=1e-30, average=0.0).changed(["loss.boundary=true"], Catalogue(allow=()))
    train(more, data, tmp_path / "second", device="cpu", threads=1, model=start, say=said.append)
    assert any("new heads: foreground, boundary" in line for line in said)
    one, other = (load_file(tmp_path / run / package.WEIGHTS) for run in ("first", "second"))
    body = [name for name in one if name.endswith("weight") and not name.startswith("out.")]
    assert body
    assert all(np.allclose(one[name], other[name], atol=1e-6) for name in body)
    assert (len(one["out.weight"]), len(other["out.weight"])) == (1, 2)


def test_of_equal_scores_the_first_weights_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "score", lambda *_: (0.5, {}))
    assert begin(data, tmp_path / "run", recipe(steps=3), every=1).best_step == 1
