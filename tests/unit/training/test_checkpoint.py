from __future__ import annotations

from pathlib import Path

import pytest
import torch

from toolkit.errors import InputError
from toolkit.plugins.sections import Learning
from toolkit.training.checkpoint import LAST, Progress, into_optimiser, of_optimiser, read, read_progress, save
from toolkit.training.phases import Timetable
from toolkit.training.step import optimiser

PROGRESS = Progress(7, Timetable((60, 40), 1), threads=2, best=0.25, best_step=5, seconds=1.5, kept=("a.network.0",))


def trained(kind: str, steps: int = 3) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    updates = optimiser(Learning(optimiser=kind), module.parameters())
    for _ in range(steps):
        updates.zero_grad()
        module(torch.rand(2, 1, 5, 5)).square().sum().backward()
        updates.step()
    return module, updates


@pytest.mark.parametrize("kind", ["adam", "adamw", "amsgrad", "sgd"])
def test_what_is_restored_goes_on_as_what_was_saved(tmp_path: Path, kind: str) -> None:
    module, updates = trained(kind)
    save(tmp_path / LAST, {**module.state_dict(), **of_optimiser(updates)}, PROGRESS)
    other, others = trained(kind, 0)
    tensors = read(tmp_path / LAST)
    other.load_state_dict({name: tensors[name] for name in module.state_dict()})
    into_optimiser(others, tensors)
    for which, opt in ((module, updates), (other, others)):
        torch.manual_seed(9)
        for _ in range(3):
            opt.zero_grad()
            which(torch.rand(2, 1, 5, 5)).square().sum().backward()
            opt.step()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in module.state_dict().items())


def test_the_progress_is_read_without_the_weights_and_nothing_half_written_stays(tmp_path: Path) -> None:
    module, updates = trained("adam")
    save(tmp_path / LAST, {**module.state_dict(), **of_optimiser(updates)}, PROGRESS)
    assert read_progress(tmp_path / LAST) == PROGRESS
    assert [p.name for p in tmp_path.iterdir()] == [LAST]


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "foreign", "absent"])
def test_a_damaged_checkpoint_is_said_in_a_sentence(tmp_path: Path, damage: str) -> None:
    module, updates = trained("adam")
    path = tmp_path / LAST
    save(path, {**module.state_dict(), **of_optimiser(updates)}, PROGRESS)
    text = path.read_bytes()
    if damage == "foreign":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    elif damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"cut": text[: len(text) // 2], "garbage": b"x" * 99, "empty": b""}[damage])
    with pytest.raises(InputError, match=r"this is no checkpoint of a training: .*last.safetensors; start anew"):
        read_progress(path)
    if damage != "foreign":
        with pytest.raises(InputError, match=r"a part of this training is damaged or missing: .*last.safetensors"):
            read(path)
