"""What objects have in a box, before it is read: little enough to be sent to whoever reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
Runs = tuple[Ints, Ints, Ints]
"""`(start, length, index of the object)`, of as many runs."""


@dataclass(frozen=True, eq=False)
class Inside:
    """Runs in `box`: those of some sets of parts, each by its name and with the object of each part, −1 for none; and
    `runs` that are at hand."""

    box: Box
    sets: tuple[tuple[Any, Ints], ...]
    runs: Runs

    def joined(self, read: Callable[[Any], Instances]) -> Runs:
        """All of them, cut to the box, in any order; a run may be in pieces. `read` gives a set by its name."""
        parts = [self.runs]
        for name, of in self.sets:
            start, length, part = read(name).within(self.box)
            owner = of[part]
            parts.append((start[owner >= 0], length[owner >= 0], owner[owner >= 0]))
        start, length, owner = (np.concatenate([p[k] for p in parts]) for k in range(3))
        return start, length, owner
