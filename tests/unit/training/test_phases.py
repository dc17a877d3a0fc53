"""Phases and several networks, as a plugin declares them; and gradients of several batches."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.mutual import Mutual
from tests.samples import write
from tests.unit.training.test_training import Stopped, assert_same, begin, stop_after
from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.errors import InputError, PluginError, UsageError
from toolkit.gpu.backend import Backend
from toolkit.io import open_dataset
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.phases import Member, Phase
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import Network
from toolkit.registry import package
from toolkit.testing.scenes import blobs
from toolkit.training import loop as module
from toolkit.training import run as folder
from toolkit.training.checkpoint import LAST, read_progress
from toolkit.training.data import Crops
from toolkit.training.footprint import footprint
from toolkit.training.loop import loop, validations
from toolkit.training.phases import Timetable, checked, settings
from toolkit.training.run import Run
from toolkit.training.start import train
from toolkit.training.team import Team
from toolkit.training.training import Training
from toolkit.training.validate import Validation
from toolkit.values.prediction import Head

STEPS = 11
OFTEN = 3


def recipe(loss: Any = None, **training: Any) -> Recipe:
    usual = {"crop": [16, 16], "batch": 2, "steps": STEPS, "learning_rate": 0.01, "average": 0.9}
    return Recipe.parse(
        {
            "name": "mutual",
            "network": {"kind": "unet", "maps": [2, 4], "units": 0, "dropout": 0.2},
            "loss": loss or Mutual(),
            "postprocess": {"kind": "threshold", "min_size": 4},
            "tiling": {"window": [16, 16], "overlap": 4},
            "training": usual | training,
        },
        Catalogue(allow=()),
    )


def sparse(seed: int) -> np.ndarray:
    """Half of the image is not annotated."""
    labels = blobs((32, 32), radius=(4, 6), seed=seed).truth.layers[0].astype(np.int16)
    labels[:, 16:] = -1
    return labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sparse") / "data"
    return write(place, {"train": {"a": sparse(1), "b": sparse(2)}, "val": {"c": sparse(3)}})


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "draw", lambda *_: None)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    begin(data, out, recipe(accumulate=2), every=OFTEN)
    return out


def states(run: Path, kind: str) -> dict[str, dict[str, torch.Tensor]]:
    """`last` or `average` weights in the checkpoint, by network."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in load_file(run / LAST).items():
        what, _, rest = name.partition(".")
        if what == kind:
            network, _, tensor = rest.partition(".")
            found.setdefault(network, {})[tensor] = value
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, STEPS))
def test_a_training_with_phases_and_accumulation_is_resumed_exactly_at_any_step(
    data: Path, tmp_path: Path, undisturbed: Path, at: int
) -> None:
    wanted = recipe(accumulate=2)
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", wanted, every=OFTEN, tell=stop_after(at))
    begin(data, tmp_path / "run", wanted, every=OFTEN, resume=True)
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_it_may_be_stopped_after_each_step(data: Path, tmp_path: Path, undisturbed: Path) -> None:
    """Every step that has a checkpoint behind it is the first of a process once."""
    wanted, out = recipe(accumulate=2), tmp_path / "run"
    with pytest.raises(Stopped):
        begin(data, out, wanted, every=1, tell=stop_after(1))
    for at in range(2, STEPS):
        with pytest.raises(Stopped):
            begin(data, out, wanted, every=1, tell=stop_after(at), resume=True)
    begin(data, out, wanted, every=1, resume=True)
    assert same(load_file(out / LAST), load_file(undisturbed / LAST))


def test_phases_follow_each_other_and_each_says_its_own_terms(undisturbed: Path) -> None:
    with (undisturbed / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["phase"] for row in rows] == ["alone"] * 4 + ["judging"] * 3 + ["together"] * 4
    assert [bool(row["judge"]) for row in rows] == [False] * 4 + [True] * 3 + [False] * 4
    assert all(row["own_taught"] for row in rows[7:])
    assert float(rows[7]["own_taught"]) == 0  # the ramp begins with the phase
    assert [float(row["learning_rate"]) for row in rows[4:8]] == [0.01, 0.01, 0.01, 0.005]
    assert [row["step"] for row in rows if row["score"]] == ["3", "4", "10", "11"]  # not while the judge learns


def test_only_what_a_phase_teaches_changes(data: Path, tmp_path: Path) -> None:
    seen: list[dict[str, dict[str, torch.Tensor]]] = []
    begin(data, tmp_path / "run", recipe(), every=1, tell=lambda _: seen.append(states(tmp_path / "run", "last")))
    for at, (before, after) in enumerate(pairwise(seen), 2):
        judging = 5 <= at <= 7
        assert {name: same(before[name], after[name]) for name in before} == {
            "network": judging, "other": judging, "judge": not judging
        }, at  # fmt: skip


def test_a_run_leaves_the_recipe_s_own_network_alone(undisturbed: Path) -> None:
    model = package.from_files(undisturbed / package.RECIPE, undisturbed / package.WEIGHTS, recipe())
    assert [head.name for head in model.heads] == ["foreground"]
    assert model.build().state_dict().keys() == states(undisturbed, "average")["network"].keys()


def test_weights_are_kept_at_the_parts_that_a_phase_names(undisturbed: Path) -> None:
    names = [f"alone.{network}.{at}" for at in range(3) for network in ("network", "other")]
    assert read_progress(undisturbed / LAST).kept == tuple(names)
    kept = {name: load_file(undisturbed / f"kept.{name}.safetensors") for name in names}
    assert not same(kept["alone.other.0"], kept["alone.other.1"])
    assert {p.stem for p in undisturbed.glob("kept.*")} == {f"kept.{name}" for name in names}


def test_a_network_that_rests_holds_its_average_and_goes_on_from_its_last_weights(tmp_path: Path) -> None:
    team = Team(recipe(), Backend())
    alone, judging, together = checked(recipe())
    team.enter(alone, lambda _: ())
    with torch.no_grad():
        for weight in team.module("network").parameters():
            weight.add_(1)
    team.step = 100
    team.follow(0.5)
    last, average = team.module("network").state_dict(), team.average["network"]
    last = {name: value.clone() for name, value in last.items()}
    assert not same(last, average)
    learning = team.enter(judging, lambda _: ())
    assert {id(p) for p in learning} == {id(p) for p in team.module("judge").parameters()}
    assert same(dict(team.module("network").state_dict()), average)
    assert not team.module("network").training
    assert not any(p.requires_grad for p in team.module("network").parameters())
    team.enter(together, lambda _: ())
    assert same(dict(team.module("network").state_dict()), last)
    assert team.module("network").training
    assert not team.module("judge").training


def test_the_average_of_a_network_is_lent_as_a_copy() -> None:
    team = Team(recipe(), Backend())
    team.enter(checked(recipe())[0], lambda _: ())
    with torch.no_grad():
        for weight in team.module("network").parameters():
            weight.add_(1)
    team.step = 100
    team.follow(0.5)
    lent = team.averaged("network")
    assert same(lent, team.average["network"])
    assert not same(lent, dict(team.module("network").state_dict()))
    next(iter(lent.values())).add_(1)
    assert not same(lent, team.average["network"]), "who changes a copy changes no average"
    own, state = dict(team.module("network").state_dict()), team.state()
    team.restore({name: value.contiguous() for name, value in state.items()})
    lent = team.averaged("network")
    assert {name: value.stride() for name, value in lent.items()} == {n: v.stride() for n, v in own.items()}
    with pytest.raises(PluginError, match="no such network"):
        team.averaged("nobody")


def test_what_was_kept_is_needed_and_said_if_it_is_gone(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        begin(data, tmp_path / "run", recipe(), every=1, tell=stop_after(4))
    (tmp_path / "run" / "kept.alone.network.1.safetensors").unlink()
    with pytest.raises(InputError, match=r"part of this training is damaged or missing: .*alone.network.1.safetensors"):
        begin(data, tmp_path / "run", recipe(), every=1, resume=True)


class KeepsNothing(Mutual):
    def phases(self) -> tuple[Phase, ...]:
        alone, *others = super().phases()
        return (Phase(alone.name, alone.build, alone.share, alone.learns), *others)


def test_a_judge_without_anything_kept_is_a_sentence(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no weights of this network were kept: (network|other); let an earlier"):
        begin(data, tmp_path / "run", recipe(KeepsNothing()))


def declaring(phases: tuple[Phase, ...] = (Phase("a"),), members: tuple[str, ...] = ()) -> Recipe:
    class Declares(BceDice):
        def phases(self) -> tuple[Phase, ...]:
            return phases

        def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
            return {name: Member(network, self.heads(ndim)) for name in members}

    return recipe(Declares())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phases", "members", "why"),
    [
        ((), (), "there is no phase"),
        ((Phase("a"), Phase("a")), (), "two phases have one name"),
        ((Phase("a"),), ("network",), "'network' is the recipe's own network"),
        ((Phase("a b"),), (), "a name is not an identifier"),
        ((Phase("a", learns=()),), (), "nothing learns in a phase"),
        ((Phase("a", torch.nn.Module, learns=("b", "network")),), (), "a network learns that there is not"),
        ((Phase("a", torch.nn.Module, learns=("b",)),), ("b",), "the recipe's own network never learns"),
        ((Phase("a"), Phase("b", learns=("b",))), ("b",), "a phase without `build` teaches others"),
        ((Phase("a", share=0.0),), (), "a share is not positive"),
        ((Phase("a", keeps=(1.5,)),), (), "weights are kept outside a phase"),
        ((Phase("a", settings={"crop": (8, 8)}),), (), "a phase sets what it may not"),
        (
            (Phase("a", settings={"learning_rate": -1}),),
            (),
            "a phase sets learning_rate: input should be greater than 0",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_said_of_the_loss(phases: Any, members: Any, why: str) -> None:
    with pytest.raises(PluginError, match=f"this loss cannot be trained: {why}: .*Declares.phases"):
        checked(declaring(phases, members))
    assert checked(declaring())


def test_too_few_steps_for_the_phases_are_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"taught in 3 phases: training.steps=2; give more"):
        train(recipe(steps=2), data, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


class Sides(BceDice):
    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("sides", 1, "sigmoid"),)


def test_an_auxiliary_loss_and_phases_of_a_loss_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="a loss with networks or phases of its own cannot be beside another loss"):
        Recipe.parse({**recipe().plain(), "loss": Mutual(), "auxiliary": Sides()}, Catalogue(allow=()))


class Idle(Network):
    kind: str = "idle"

    def build(self, channels: int, heads: Any, ndim: int) -> torch.nn.Module:
        return torch.nn.Identity()

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (1,) * ndim


def test_a_network_that_cannot_learn_is_named(data: Path, tmp_path: Path) -> None:
    wanted = Recipe.parse({**recipe().plain(), "loss": BceDice(), "network": Idle()}, Catalogue(allow=()))
    with pytest.raises(PluginError, match=r"this network has no weights to learn: .*Idle.build"):
        begin(data, tmp_path / "run", wanted)


@pytest.mark.parametrize("built", [None, RuntimeError("no such layer")])
def test_what_is_no_network_is_named(built: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> Any:
        if isinstance(built, Exception):
            raise built
        return built

    monkeypatch.setattr(Idle, "build", build)
    wanted = Recipe.parse({**recipe().plain(), "loss": BceDice(), "network": Idle()}, Catalogue(allow=()))
    with pytest.raises(PluginError, match=r"idle.*(NoneType|no such layer).*Idle\.build; "):
        begin(data, tmp_path / "run", wanted)


class Detached(Mutual):
    def phases(self) -> tuple[Phase, ...]:
        class Nothing(torch.nn.Module):
            def forward(self, team: Any, voxels: torch.Tensor, targets: Any) -> dict[str, torch.Tensor]:
                return {"nothing": team("network", voxels)["foreground"].detach().mean()}

        return (Phase("nothing", Nothing),)


def test_a_loss_that_depends_on_nothing_that_learns_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="the loss depends on no network that learns: step 1, nothing"):
        begin(data, tmp_path / "run", recipe(Detached()))


def test_each_network_counts_into_the_memory_of_a_step() -> None:
    alone, three = footprint(recipe(BceDice()), Backend()), footprint(recipe(), Backend())
    assert three.fixed > 2 * alone.fixed
    assert three.voxel > 2 * alone.voxel


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6), st.integers(6, 10**6))
def test_a_timetable_shares_all_steps_out_and_leaves_no_phase_without(shares: list[float], steps: int) -> None:
    table = Timetable.of([Phase(f"p{k}", share=share) for k, share in enumerate(shares)], steps)
    assert table.total == steps
    assert min(table.steps) >= 1
    assert all(abs(n - steps * s / sum(shares)) <= len(shares) for n, s in zip(table.steps, shares, strict=True))
    ends = np.cumsum(table.steps)
    for number, end in enumerate(ends[:-1]):
        assert table.at(int(end)) == (number + 1, 0)
        assert table.at(int(end) - 1) == (number, table.steps[number] - 1)


def test_validations_are_shared_out_among_phases_that_teach_the_recipe_s_network() -> None:
    phases = checked(recipe())
    assert [validations(phases, number, 20) for number in range(3)] == [10, 0, 10]
    assert validations(checked(declaring()), 0, 7) == 7


def test_a_phase_sets_what_it_may() -> None:
    assert settings(recipe(), checked(recipe())[2]).learning_rate == 0.005
    assert settings(recipe(), checked(recipe())[0]) == recipe().training


@pytest.mark.slow
def test_minutes_are_shared_out_and_each_phase_is_timed_and_resumed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMED", 2)
    monkeypatch.setattr(module, "fewer", lambda steps, batch, share: batch)
    wanted, now = recipe(steps=1000), [0.0]

    def one(stop: int | None = None, resume: bool = False, out: str = "run") -> Any:
        """Each step takes a second, in the middle phase a tenth; nothing else takes time."""
        place = tmp_path / out
        place.mkdir(exist_ok=True)
        crops, validation = Crops(open_dataset(f"{data}:train"), wanted), Validation(open_dataset(f"{data}:val"))
        training = Training(Run(place, wanted, None, 1, resume), Backend(), 1000, 0.5, lambda: now[0])
        step = training.step

        def slow(batches: Any) -> Any:
            phase = training.phases[training.progress.table.at(training.progress.step)[0]]
            now[0] += 0.1 if phase.name == "judging" else 1.0
            return step(batches)

        monkeypatch.setattr(training, "step", slow)
        return loop(training, validation, crops.batches, stop_after(stop) if stop else lambda _: None)

    done = one(out="whole")
    assert done.table.steps == pytest.approx((12, 60, 12), abs=2)  # 12, 6 and 12 of 30 seconds
    assert (done.table.known, done.minutes) == (3, 0.5)
    now[0] = 0.0
    with pytest.raises(Stopped):
        one(done.table.steps[0])  # where the second phase is not timed yet
    with pytest.raises(Stopped):
        one(done.table.steps[0] + 40, resume=True)
    assert one(resume=True).table == done.table
    assert same(load_file(tmp_path / "run" / LAST), load_file(tmp_path / "whole" / LAST))


def test_the_mean_of_small_batches_moves_weights_like_one_large_batch(data: Path, tmp_path: Path) -> None:
    """Crop i of a step is the same whichever batch it is in, so a loss that is a mean over crops is the same."""
    network = {"kind": "plain_unet", "maps": 2, "levels": 2, "norm": "none"}
    for name, batch, accumulate in (("large", 4, 1), ("two", 2, 2), ("four", 1, 4)):
        wanted = recipe(BceDice(dice=0.0), optimiser="sgd", batch=batch, accumulate=accumulate, steps=3)
        wanted = wanted.changed([f"network={json.dumps(network)}"], Catalogue(allow=()))
        begin(write_dense(tmp_path / f"{name} data"), tmp_path / name, wanted)
    large, *others = (states(tmp_path / name, "last")["network"] for name in ("large", "two", "four"))
    for other in others:
        for name, value in large.items():
            assert torch.allclose(value.float(), other[name].float(), atol=2e-4), name


def write_dense(folder: Path) -> Path:
    scenes = {"train": {"a": blobs((32, 32), seed=1)}, "val": {"b": blobs((32, 32), seed=2)}}
    return write(folder, scenes)


def counted(steps: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def wrapped(*args: Any, **named: Any) -> Any:
        calls.append(len(args[3]))
        return steps(*args, **named)

    return wrapped, calls


def test_a_step_takes_as_many_batches_as_the_recipe_accumulates(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.training import training

    wrapped, calls = counted(training.descend)
    monkeypatch.setattr(training, "descend", wrapped)
    begin(data, tmp_path / "run", recipe(BceDice(), accumulate=3, steps=2))
    assert calls == [3, 3]


def test_the_method_in_the_documents_trains(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "phases.md").read_text(encoding="utf8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "twins_of_the_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    loss = import_module("twins_of_the_page").Twins()
    begin(data, tmp_path / "run", recipe(loss, steps=4))
    with (tmp_path / "run" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["phase"] for row in rows] == ["alone", "alone", "together", "together"]
    assert float(rows[3]["own_by_other"]) > 0


def test_a_batch_that_no_memory_holds_is_refused_before_a_crop_is_cut(data: Path, tmp_path: Path) -> None:
    wanted = recipe(batch=1_000_000_000)
    with pytest.raises(UsageError, match=r"1000000000 crops at once do not fit into memory: .* are free: choose fewer"):
        train(wanted, data, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
