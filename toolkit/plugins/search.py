"""Where `seg tune` looks for a field of a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """Range in which `seg tune` looks for a field: `Annotated[float, Search(0.1, 0.9)]`, or the values that it tries:
    `Annotated[Literal["a", "b"], Search(choices=("a", "b"))]`.

    `log` searches on a logarithmic scale; `step` restricts to multiples of a step above `low`. `drifts` says of a
    threshold that what suits it moves while a network trains: validations in the training try values beside the best
    so far, so that the best weights are not those that happen to suit one value.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    drifts: bool = False
    choices: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether a value is one that is looked at."""
        if self.choices:
            return value in self.choices
        return value is None or bool(self.low <= value <= self.high)
