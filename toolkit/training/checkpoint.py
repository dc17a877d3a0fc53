"""The state of a training in one safetensors file, written atomically: all from which it goes on exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError
from toolkit.files import whole
from toolkit.training.phases import Timetable

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

LAST = "last.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    `best` is the best validation score so far, −1 before the first, and `setting` what fields of the post-processor it
    was reached with; `scored` counts validations. `minutes` were asked for, unless steps were. `kept` names the weights
    that phases kept, the oldest first. `images`: validations look at so many, at all where None. `half`: networks
    compute in 16 bits where they may, which a machine that cannot do so fast goes on with.
    """

    step: int
    table: Timetable
    threads: int
    half: bool = False
    best: float = -1.0
    best_step: int = 0
    setting: dict[str, Any] = field(default_factory=dict)
    scored: int = 0
    seconds: float = 0.0
    minutes: float | None = None
    images: int | None = None
    kept: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """The planned end."""
        return self.table.total

    @property
    def done(self) -> bool:
        return self.step >= self.steps


def save(path: Path, tensors: Mapping[str, torch.Tensor], progress: Progress) -> None:
    """Write a checkpoint, whole or not at all."""
    write(path, tensors, {"progress": json.dumps(asdict(progress))})


def write(path: Path, tensors: Mapping[str, torch.Tensor], about: dict[str, str] | None = None) -> None:
    """Tensors, which may share memory, as safetensors; whole or not at all."""
    from safetensors.torch import save as packed

    with whole.file(path) as made:
        # A full disk is an `OSError` only here.
        made.write_bytes(packed({name: t.detach().clone().contiguous() for name, t in tensors.items()}, about))


def read_progress(path: Path) -> Progress:
    """Only the progress; raises `InputError` if the file is no checkpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            said = json.loads(file.metadata()["progress"])
        table = Timetable(tuple(said["table"]["steps"]), said["table"]["known"])
        return Progress(**{**said, "table": table, "kept": tuple(said["kept"])})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError("this is no checkpoint of a training", path, "start anew with another -o") from error


def read(path: Path) -> State:
    """The tensors of a checkpoint, or of weights that a phase kept."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError("a part of this training is damaged or missing", path, "start anew with another -o") from error


def of_optimiser(optimiser: torch.optim.Optimizer) -> State:
    """What an optimiser remembers, by names that `into_optimiser` knows."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{at}.{name}": value for at, own in state.items() for name, value in own.items()}


def into_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give an optimiser its memory back."""
    state: dict[int, State] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, at, name = key.split(".", 2)
            state.setdefault(int(at), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
