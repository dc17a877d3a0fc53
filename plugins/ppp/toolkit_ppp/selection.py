"""The selected patches of an image: the nodes of the patch graph, and what a block needs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Box
from toolkit_ppp.bits import Words

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Selection:
    """N patches of an image of `shape` `(Z)YX`, ascending by centre.

    `centres`: raster indices in the image. `members` (N, words): the foreground pixels of each patch, as bits.
    `places`: position in the ranking of all patches, 0 is best. `scores`: Eq 5.
    """

    shape: tuple[int, ...]
    patch: tuple[int, ...]
    centres: Ints
    members: Words
    places: Ints
    scores: NDArray[np.float64]

    def window(self, box: Box) -> Selection:
        """The patches that matter for a block, which with its halo of P − 1 is `box`."""
        # Pairs begin in the block and are at most P apart; a patch reaches its radius beyond its centre.
        around = box.grow(tuple(n // 2 + 1 for n in self.patch))
        where = np.stack(np.unravel_index(self.centres, self.shape), axis=1)
        return self.pick(np.all((where >= around.start) & (where < around.stop), axis=1))

    def pick(self, which: NDArray[np.bool_] | Ints) -> Selection:
        """Some of the patches."""
        fields = ("centres", "members", "places", "scores")
        return replace(self, **{name: getattr(self, name)[which] for name in fields})
