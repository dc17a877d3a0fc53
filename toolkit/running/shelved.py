"""The objects of one image, made of parts that are kept until it is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import BlocksFailed, OutOfMemory, StorageError, ToolkitError
from toolkit.io.shards import Make, one_by_one
from toolkit.pipeline.cluster import cluster
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere, shard_elsewhere
from toolkit.pipeline.origin import returned
from toolkit.pipeline.passes import Work, sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session, Share
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.workers import Map, serial, workers
from toolkit.pipeline.written import shelving
from toolkit.plugins.specs import PostProcessor
from toolkit.running.options import Options
from toolkit.running.record import versions
from toolkit.running.smaller import remember, smallest
from toolkit.steps.void import OPTION, said, without
from toolkit.values.rescaling import Rescaling
from toolkit.values.scattered import Objects, whole
from toolkit.values.tiles import Block, Box, Lattice, blocks

FEW = 8
"""What is done of an image of no more windows is not worth keeping."""
MANY = 48
"""So many windows are worth processes of their own, which take seconds to begin."""
BLOCK = {2: 2048, 3: 256}
"""Voxels per axis of a block."""
SCALE = "scale"
SIZE = "size"
"""Stages of a shelf."""
Others = Callable[[], Map]
"""Begins, when it is first called, with those who work beside this process."""


@dataclass(frozen=True)
class Made:
    """The objects of an image, how many of them vanished at its resolution, the pieces that they were made of, in how
    many blocks, how the files of their layers are made, and what is to be said of the blocks."""

    objects: Objects
    vanished: int
    kept: Pieces
    blocks: int
    make: Make
    note: str = ""


@dataclass(frozen=True)
class Making:
    """How the objects are made of an image that is seen as `here` and at a size of `sized`, on its `shelf` in the
    folder `run` of the whole run. `void`: parts of what the network sees in which nothing is found.
    `others` work beside this process, if there are any."""

    session: Session
    where: Source
    here: Prepared
    sized: Rescaling
    void: Sequence[Box]
    options: Options
    others: Others | None
    shelf: Shelf
    run: Path

    @property
    def postprocess(self) -> PostProcessor:
        return self.session.model.recipe.postprocess

    def made(self) -> Made:
        """Where memory does not suffice for a block, and blocks change nothing, those of the rest of the run are
        smaller. Errors say what can be left out."""
        lattice = self.session.lattice(self.here)
        asked, note = self.options.block, ""
        block = smallest(self.run, asked)
        while True:
            work = divided(lattice, block, self.postprocess)
            try:
                kept, found, make = self._found(lattice, work)
                break
            except ToolkitError as error:
                less = self._less(error, lattice, work)
                if less is None:
                    self._advise(error, lattice)
                    raise
                block = less
                remember(self.run, block)
        if block != asked and block is not None:
            side = max(side for one in work for side in one.core.shape)
            note = f"memory did not suffice for larger blocks: they are of {side} voxels"
        if self.void and kept.dense:
            found = without(whole(found), self.void)
        assert kept.origin is not None, "a session makes pieces with their origin"
        objects = returned(found, kept.origin)
        return Made(objects, len(found) - len(objects), kept, len(work), make, note)

    def _found(self, lattice: Lattice, work: Sequence[Block]) -> tuple[Pieces, Objects, Make]:
        """The pieces, the objects in what the network saw, and how files of these are made."""
        windows = sum(1 for _ in lattice.windows())
        if self.here.scale.constant or (len(work) == 1 and windows <= FEW):
            kept = self.session.pieces(self.here)
            return kept, self.session.found(kept, self.postprocess), one_by_one
        for stage, value in ((SIZE, self.sized), (SCALE, self.here.scale)):
            if stage not in self.shelf.known(stage):
                self.shelf.save(stage, value)
        run: Map = serial
        remotes: dict[str, Any] = {}
        if self.others and (self.options.scheduler or len(work) > 1 or windows >= MANY):
            run, folder = self.others(), str(self.shelf.folder)
            remotes = {
                "pieces": partial(pieces_elsewhere, self.where, self.here.scale, folder),
                "blocks": partial(block_elsewhere, folder),
                "shards": partial(shard_elsewhere, folder),
            }
        kept = self.session.pieces(self.here, shelf=self.shelf, run=run, remote=remotes.get("pieces"))
        kept.save()
        found = sweep(self.postprocess, kept, work, shelf=self.shelf, run=run, remote=remotes.get("blocks"))
        return kept, found, shelving(self.shelf, run, remotes.get("shards"))

    def _less(self, error: ToolkitError, lattice: Lattice, work: Sequence[Block]) -> int | None:
        """Voxels per axis of smaller blocks, if those in `work` were too large and there are any."""
        killed = isinstance(error, BlocksFailed) and error.killed
        if not (isinstance(error.item, Work) and self.postprocess.exact and (killed or isinstance(error, OutOfMemory))):
            return None
        block = max(error.item.block.core.shape)
        while block > 1:
            block //= 2
            if len(divided(lattice, block, self.postprocess)) > len(work):
                return block
        return None

    def _advise(self, error: ToolkitError, lattice: Lattice) -> None:
        """Say how what failed is left out."""
        if isinstance(error, StorageError):
            return
        part = None
        if isinstance(error.item, Work):
            part = error.item.block.core
        elif isinstance(error.item, Share):
            cores = [lattice.numbered(number).core for number in error.item.numbers]
            part = Box(cores[0].start, cores[-1].stop) if len(cores) == 1 else None
        if part is not None:
            error.add(f"or leave it out with {OPTION} {said(part, lattice, self.here.shape)}")


@contextmanager
def beside(model: Model, options: Options, processes: int) -> Iterator[Others | None]:
    """Those who work beside this process, if there are any, until the context ends."""
    if not options.scheduler and processes == 1:
        yield None
        return
    begun: list[Map] = []
    make = partial(Bench.of, model)

    def begin() -> Map:
        if not begun:
            there = cluster(options.scheduler, make, versions) if options.scheduler else workers(processes, make)
            begun.append(stack.enter_context(there))
        return begun[0]

    with ExitStack() as stack:
        yield begin


def divided(lattice: Lattice, block: int | None, postprocess: PostProcessor) -> list[Block]:
    """The blocks of an image: if the user does not say how large, as large as memory holds easily, where blocks change
    nothing."""
    return blocks(lattice, block or (BLOCK[len(lattice.shape)] if postprocess.exact else None))
