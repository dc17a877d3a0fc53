"""What a method thought, to be looked at: fields over the image, and marks on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["points", "lines", "ellipses"]


@dataclass(frozen=True, eq=False)
class Marks:
    """Points of an image of `D` axes, `places` `(N, D)` in voxels, the middle of a voxel is a whole number.

    `others` `(N, D)`: of `lines` the other end, of `ellipses` the radii in voxels; points have none. `values` `(N,)`:
    strength, sureness or affinity, −1 … 1; below 0 it speaks against.
    """

    kind: Kind
    places: NDArray[Any]
    others: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 0)))
    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.places)

    def rows(self) -> NDArray[np.float32]:
        """A row for each mark: place, other if the kind has one, value (1 where none is given)."""
        values = self.values if len(self.values) else np.ones(len(self))
        parts = [self.places, *([] if self.kind == "points" else [self.others]), values[:, None]]
        return np.concatenate(parts, axis=1).astype(np.float32)

    @classmethod
    def of_rows(cls, kind: Kind, rows: NDArray[Any]) -> Marks:
        """The marks of which `rows` are."""
        ndim = rows.shape[1] - 1 if kind == "points" else (rows.shape[1] - 1) // 2
        return cls(kind, rows[:, :ndim], rows[:, ndim:-1], rows[:, -1])


Thought = Marks | NDArray[Any]
"""Marks, or a field: numbers `(C, *shape)` for each voxel of an image."""
