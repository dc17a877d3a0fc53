"""The scored patches of an image, of whose bits no more is in memory than is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Box
from toolkit_ppp.bits import Words

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """The patches whose centres lie in a block's core.

    `centres`: raster indices in the image. Eq 5 is `agreement / (16384·pairs)`. `members` (N, words): the pixels that a
    patch calls foreground, as bits; `covers`: those that it covers, where they are others. `inside`: fg(I) in the core,
    as bits.
    """

    core: Box
    shape: tuple[int, ...]
    centres: Ints
    agreement: Ints
    pairs: Ints
    members: Words
    covers: Words | None
    inside: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Candidates:
    """All patches of an image that have members, ascending by centre, and fg(I). The fields are those of `parts`, which
    are read again for the bits of patches. `apart`: what patches cover is not what they call foreground."""

    parts: Iterable[Scored]
    shape: tuple[int, ...]
    inside: NDArray[np.bool_]
    centres: Ints
    agreement: Ints
    pairs: Ints
    apart: bool

    @classmethod
    def of(cls, parts: Iterable[Scored]) -> Candidates:
        """`parts` may be gone through more than once."""
        found: list[tuple[Ints, Ints, Ints]] = []
        inside, apart = np.zeros(0, bool), False
        for part in parts:
            apart |= part.covers is not None
            if not found:
                inside = np.zeros(part.shape, bool)
            there = np.unpackbits(part.inside, count=part.core.size).astype(bool)
            inside[part.core.slices] = there.reshape(part.core.shape)
            some = part.members.any(axis=1)
            found.append((part.centres[some], part.agreement[some], part.pairs[some]))
        centres, agreement, pairs = (np.concatenate(column) for column in zip(*found, strict=True))
        found.clear()
        raster = np.argsort(centres)
        return cls(parts, inside.shape, inside, centres[raster], agreement[raster], pairs[raster], apart)

    def members(self, centres: Ints) -> Words:
        """The pixels that the patches at some of the `centres` call foreground."""
        return self._bits(centres, False)

    def covers(self) -> Words:
        """The pixels that each patch covers."""
        return self._bits(self.centres, True)

    def _bits(self, centres: Ints, covers: bool) -> Words:
        """Rows of bits, one for each of some ascending `centres`."""
        found: Words | None = None
        for part in self.parts:
            words = part.members if not covers or part.covers is None else part.covers
            if found is None:
                found = np.empty((len(centres), words.shape[1]), np.uint64)
            if len(centres):
                at = np.minimum(np.searchsorted(centres, part.centres), len(centres) - 1)
                some = centres[at] == part.centres
                found[at[some]] = words[some]
        assert found is not None, "an image has a part"
        return found
