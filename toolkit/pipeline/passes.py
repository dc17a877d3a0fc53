"""The one loop: windows → pieces, each window once; then the passes of a method over blocks of pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256 as digest
from typing import Any

from toolkit.errors import PluginError
from toolkit.files import arrays
from toolkit.files.failpoint import failpoint
from toolkit.gpu.backend import Backend
from toolkit.pipeline.heard import each
from toolkit.pipeline.parts import Again, on_shelf
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.shelf import Shelf, writing
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins import seams
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.scattered import Near, Objects, Scattered
from toolkit.values.tiles import Block, Box


@dataclass(frozen=True)
class Work:
    """A block in pass `number`, with the part of the state that it needs."""

    number: int
    state: Any
    block: Block
    division: str = ""

    @property
    def stage(self) -> str:
        return f"pass-{self.number + 1}"

    @property
    def file(self) -> str:
        """Name of its fragment, which says where it is, and in which `division` of the image."""
        start, stop = ("-".join(map(str, corner)) for corner in (self.block.core.start, self.block.core.stop))
        return f"{self.stage}.{self.division}.{start}.{stop}"

    def __str__(self) -> str:
        where = ", ".join(f"{a}:{b}" for a, b in zip(self.block.core.start, self.block.core.stop, strict=True))
        return f"block {self.block.index} [{where}] in pass {self.number + 1}"


Remote = Callable[[Work], str]
"""Does the work of a block somewhere, leaves its fragment in the folder of the pieces and gives the file's sha256."""


def keep(
    postprocess: PostProcessor, predictions: Iterable[Prediction], backend: Backend, loose: bool = False
) -> Iterator[Piece]:
    """The stage `pieces`: of each window what the method needs. Raises `PluginError` for a piece that is none."""
    first: Piece | None = None
    for seen in predictions:
        with seams.calling(postprocess, "keep"):
            kept: Any = postprocess.keep(seen, backend, loose)
        kept = seams.piece(kept, seen, postprocess, first)
        first = first or kept
        yield kept


def sweep(
    postprocess: PostProcessor,
    pieces: Pieces,
    blocks: Sequence[Block],
    *,
    loose: bool = False,
    shelf: Shelf | None = None,
    run: Map = serial,
    remote: Remote | None = None,
) -> Objects:
    """All passes over all blocks of an image. `loose`: the pieces are, and are cut as they are read.

    With a `shelf`, what is done of it is not done again, and fragments are files, which may still hold what is given
    back: `Scattered` objects. Without one they are `Instances`. `remote` does the work of a block
    elsewhere; the default is `local` in this process. Raises `PluginError` if what comes out at the end are no
    instances of the image.
    """
    state: Any = None
    fragments: Iterable[Any] = ()
    parts = division(blocks, pieces)
    for number, step in enumerate(postprocess.passes()):
        saved = f"reduce-{number + 1}"
        if shelf is not None and step.state is not None and f"{saved}.{parts}" in shelf.known(saved):
            state = shelf.load(saved, step.state, f"{saved}.{parts}")
            continue
        work, here = work_of(number, state, postprocess, pieces, blocks), partial(local, postprocess, pieces, loose)
        if step.gathers:
            fragments = Again(
                said(postprocess, number), here,
                [Work(number, None, Block(n, window.core)) for n, window in enumerate(pieces.windows)],
            )  # fmt: skip
        elif shelf is None:
            fragments = list(each(said(postprocess, number), map(here, work), len(blocks)))
        else:
            fragments = shelved(postprocess, pieces, number, work, len(blocks), shelf, run, remote)
        state = reduced(postprocess, number, fragments, state, pieces.backend)
        if shelf is not None and step.state is not None:
            with _written(postprocess, "state"):
                shelf.save(saved, state, f"{saved}.{parts}")
    if shelf is not None and isinstance(state, Joined) and isinstance(fragments, Again):
        found = seams.joined(state, pieces.shape, postprocess, "passes")
        return Scattered(found, Near(fragments.make), fragments.of)
    return ended(postprocess, state, fragments, pieces.shape)


def ended(postprocess: PostProcessor, state: Any, fragments: Iterable[Any], shape: tuple[int, ...]) -> Instances:
    """The objects in memory, from what the last reduce gave."""
    found = state.whole(fragments) if isinstance(state, Joined) else state
    return seams.instances(found, shape, postprocess, f"passes, reduce {len(postprocess.passes())}")


def alone(postprocess: PostProcessor, piece: Piece, backend: Backend) -> Instances:
    """The objects that one piece shows by itself, where they lie in the image.

    Heads are those of an image of their own: a pass that gathers expects the heads of all of an image."""
    if isinstance(piece, Prediction) and piece.box.shape != piece.shape:
        own = Box.whole(piece.box.shape)
        core = piece.core.relative_to(piece.box)
        found = alone(postprocess, replace(piece, box=own, core=core, shape=own.shape), backend)
        return found.place(piece.box, piece.shape)
    seams.sealed(piece)
    state: Any = None
    for number, step in enumerate(postprocess.passes()):
        with seams.calling(postprocess, f"passes, local {number + 1}"):
            fragment = step.local(piece, state, backend)
        with seams.calling(postprocess, f"passes, reduce {number + 1}"):
            state = step.reduce([fragment], state, backend)
    return ended(postprocess, state, [fragment], piece.shape)


def said(postprocess: PostProcessor, number: int) -> str:
    """What a pass is called where it is told how far it is."""
    return f"pass {number + 1} of {len(postprocess.passes())}"


def reduced(postprocess: PostProcessor, number: int, fragments: Iterable[Any], state: Any, backend: Backend) -> Any:
    """The state after a pass."""
    with seams.calling(postprocess, f"passes, reduce {number + 1}"):
        failpoint("reduce.before")
        step = postprocess.passes()[number]
        found = step.reduce(fragments, state, backend)
    return seams.told(found, step.state, postprocess, f"passes, reduce {number + 1}")


def work_of(
    number: int, state: Any, postprocess: PostProcessor, pieces: Pieces, blocks: Sequence[Block]
) -> Iterator[Work]:
    """What is to be done in a pass."""
    parts = division(blocks, pieces)
    for block in blocks:
        with seams.calling(postprocess, f"passes, window of the state after reduce {number}"):
            box = block.core if number and postprocess.passes()[number].around else _outer(postprocess, pieces, block)
            part = None if state is None else state.window(box)
        yield Work(number, part, block, parts)


def division(blocks: Sequence[Block], pieces: Pieces) -> str:
    """Names how an image is divided and what is left out of it: fragments and states of two divisions do not mix."""
    said = [[block.core.start, block.core.stop] for block in blocks], sorted(pieces.void)
    return digest(json.dumps(said).encode()).hexdigest()[:8]


def shelved(
    postprocess: PostProcessor,
    pieces: Pieces,
    number: int,
    work: Iterable[Work],
    total: int,
    shelf: Shelf,
    run: Map = serial,
    remote: Remote | None = None,
) -> Iterable[Any]:
    """The fragments of a pass, of which `work` are `total`, on the shelf."""
    kind, make = postprocess.passes()[number].fragment, remote or partial(store, postprocess, pieces)
    return on_shelf(work, total, said(postprocess, number), kind, shelf, make, run)


def local(postprocess: PostProcessor, pieces: Pieces, loose: bool, work: Work) -> Any:
    """Fragment of one block in one pass."""
    step, core = postprocess.passes()[work.number], work.block.core
    piece = pieces.read(step.around(work.state, core) if step.around else _outer(postprocess, pieces, work.block), core)
    with seams.calling(postprocess, f"passes, local {work.number + 1}"):
        found = step.local(postprocess.cut(piece) if loose else piece, work.state, pieces.backend)
    return seams.told(found, step.fragment, postprocess, f"passes, local {work.number + 1}")


def store(postprocess: PostProcessor, pieces: Pieces, work: Work) -> str:
    """`local`, left in the folder of the pieces; gives the sha256 of the file."""
    fragment = local(postprocess, pieces, False, work)
    with _written(postprocess, "fragment"), writing(pieces.folder):
        return arrays.write(pieces.folder / work.file, fragment)


@contextmanager
def _written(postprocess: PostProcessor, what: str) -> Iterator[None]:
    try:
        yield
    except TypeError as error:
        raise PluginError(
            f"a {what} of post-processor {postprocess.kind} cannot be written", str(error),
            "make it a frozen dataclass of arrays, see Pass",
        ) from error  # fmt: skip


def _outer(postprocess: PostProcessor, pieces: Pieces, block: Block) -> Box:
    return block.core.grow(seams.halo(postprocess, len(pieces.shape)), within=pieces.shape)
