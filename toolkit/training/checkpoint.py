"""The state of a training in one safetensors file, written atomically: weights, optimiser, average, step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import InputError
from toolkit.files import whole

if TYPE_CHECKING:
    import torch

LAST = "last.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a training is. `steps` is its planned end; `best` the best validation score so far, −1 before the first."""

    step: int
    steps: int
    threads: int
    best: float
    best_step: int
    seconds: float


def save(
    path: Path,
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, torch.Tensor],
    progress: Progress,
) -> None:
    """Write everything from which the training can go on exactly."""
    from safetensors.torch import save_file

    tensors = {f"module.{k}": v.contiguous() for k, v in module.state_dict().items()}
    tensors |= {f"average.{k}": v.contiguous() for k, v in average.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v.contiguous() for k, v in state.items()}
    with whole.file(path) as made:
        save_file({k: v.clone() for k, v in tensors.items()}, made, metadata={"progress": json.dumps(asdict(progress))})


def read_progress(path: Path) -> Progress:
    """Only the progress; raises `InputError` if the file is no checkpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError("this is no checkpoint of a training", path, "start anew with another -o") from error


def restore(path: Path, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Put weights and optimiser state back; returns the average."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    module.load_state_dict({k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}
