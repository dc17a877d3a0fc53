"""A pass of a post-processor over the blocks of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolkit.gpu.backend import Backend
from toolkit.values.tiles import Box


@dataclass(frozen=True)
class Pass:
    """One sweep over all blocks.

    `local(piece, state, backend) -> fragment` runs in a worker on the pieces of one block and its halo, joined;
    `reduce(fragments, state, backend) -> state` gets an iterable of the fragments of all blocks, in raster order, each
    read when it is asked for; it may be gone through again. The last reduce gives `Instances`, or `Joined`: how the
    `Instances` that are its fragments, or their `found`, belong together. A `state` that is not None
    has `window(box)`: the part that a block needs, where `box` is the block with its halo; it is cut before it is sent.

    Fragments and states are frozen dataclasses of arrays, mappings of names to arrays, numbers, texts, tuples of these,
    and such dataclasses: `toolkit.files.arrays` writes them as plain arrays. `fragment` is the class of the fragments,
    `state` that of what `reduce` gives: where it is named, a run that was stopped does not reduce again.
    """

    local: Callable[[Any, Any, Backend], Any]
    reduce: Callable[[Any, Any, Backend], Any]
    fragment: type[Any]
    gathers: bool = False
    """`local` only hands its piece on: no other process does it, and `reduce` gets the pieces of the windows."""
    state: type[Any] | None = None
    around: Callable[[Any, Box], Box] | None = None
    """`(part of the state, block) -> box` that `local` reads instead of the block and its halo; `window` then gets the
    block alone."""
