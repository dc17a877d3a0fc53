"""What a block, or a window, has found by itself, before it is joined to what its neighbours found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fragment:
    """Instances that a block or window found in `outer` (its core and halo), in the coordinates of `outer`.

    It answers for `core`. `shape` is that of the whole image.
    """

    instances: Instances
    outer: Box
    core: Box
    shape: tuple[int, ...]

    @property
    def box(self) -> Box:
        """What it answers for, as a piece: what was seen beyond serves to join it."""
        return self.core

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(int(array.nbytes) for array in self.arrays().values())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of its instances by name."""
        found = self.instances
        named = {name: getattr(found, name) for name in ("start", "length", "offsets", "scores")}
        return {**named, **{f"attributes.{name}": values for name, values in found.attributes.items()}}

    def crop(self, box: Box) -> Fragment:
        """The same instances, which answer for `box` in `core`."""
        return self if box == self.core else replace(self, core=box & self.core)

    def runs(self, keep: Box) -> tuple[Ints, Ints, Ints]:
        """Runs inside `keep`, in image coordinates: `(start, length, index of the instance)`."""
        return self.instances.moved(self.outer, self.shape, keep)
