"""Which objects of a data set stay annotated when only a few do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError, nearest

Order = Literal["random", "small", "large"]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sparse:
    """A share `fraction` of the objects of each image, at least one.

    `order`: at `random`, or at random among the objects of at most (`small`) or above (`large`) the median size of all,
    so many of them that about as many voxels are annotated as at random with the same seed.
    """

    fraction: float = 0.1
    order: Order = "random"
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Sparse:
        """From `fraction=.1,order=small,seed=0`, of which any part may be left out; raises `UsageError`."""
        said: dict[str, str] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, equals, value = (p.strip() for p in part.partition("="))
            if name not in cls.__dataclass_fields__ or not equals or name in said:
                hint = nearest(name, cls.__dataclass_fields__)
                raise UsageError("this cannot be read", f"--sparsify {part}", f"{hint}, write NAME=VALUE, each once")
            said[name] = value
        try:
            fraction, seed = float(said.get("fraction", 0.1)), int(said.get("seed", 0))
        except ValueError as error:
            do = "write for instance fraction=.1,order=random,seed=0"
            raise UsageError("this is no number", f"--sparsify {text}", do) from error
        order = said.get("order", "random")
        if not 0 < fraction <= 1:
            raise UsageError("the fraction lies above 0 and at most at 1", f"--sparsify fraction={fraction:g}", "")
        if seed < 0:
            raise UsageError("a seed is a whole number from 0 on", f"--sparsify seed={seed}", "")
        if order not in get_args(Order):
            raise UsageError("there is no such order", f"--sparsify order={order}", nearest(order, get_args(Order)))
        return cls(fraction, order, seed)  # type: ignore[arg-type]

    def choose(self, images: Sequence[tuple[Ints, Ints]]) -> Iterator[Ints]:
        """For each image of `(ids, sizes)` of its objects in voxels, the ids that stay, ascending.

        What an image is drawn depends on its place among the images, the seed, and for `small` and `large` on what was
        drawn before it: where an image has too few such objects, later ones make up for it.
        """
        sizes = np.concatenate([np.zeros(0, np.int64), *(s for _, s in images)])
        median = float(np.median(sizes)) if len(sizes) else 0.0
        owed = 0
        for number, (ids, size) in enumerate(images):
            rng = np.random.default_rng((self.seed, number))
            order = rng.permutation(len(ids))
            drawn = order[: max(1, round(self.fraction * len(ids)))]
            if self.order != "random":
                owed += int(size[drawn].sum())
                fit = size[order] <= median if self.order == "small" else size[order] > median
                drawn = _worth(order[fit], size, owed)
                owed -= int(size[drawn].sum())
            yield np.sort(ids[drawn])


def _worth(order: Ints, size: Ints, voxels: int) -> Ints:
    """The first objects in this order that have about so many voxels together."""
    together = np.concatenate([[0], np.cumsum(size[order])])
    return order[: int(np.argmin(abs(together - voxels)))]
