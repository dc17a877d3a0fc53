"""What a method kept of each window of an image, in memory or as files: what all passes read and no network repeats."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from tempfile import mkdtemp

from toolkit.files import arrays, whole
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import free
from toolkit.pipeline.heard import tell
from toolkit.pipeline.origin import Origin
from toolkit.pipeline.shelf import Shelf, writing
from toolkit.pipeline.stored import FORMS, Stored, file_of, load, store
from toolkit.plugins.seams import sealed
from toolkit.plugins.specs import PostProcessor
from toolkit.values.piece import Piece, joined, vacant
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box, Lattice

INDEX = "index.json"
STAGE = "pieces"


class Pieces:
    """The pieces of all windows of `lattice`, one for each window.

    They are held in memory while they fit into `room` bytes (default: half of what is free), beyond that in files in
    `folder` (default: a temporary one, gone with the pieces). Dense pieces in memory lie in one array of the whole
    image, so that reading a part of it copies nothing.
    """

    def __init__(
        self,
        lattice: Lattice,
        backend: Backend,
        origin: Origin | None = None,
        folder: Path | None = None,
        room: int | None = None,
        void: Collection[int] = (),
    ) -> None:
        """`void`: windows that have no piece, and in which there is nothing."""
        self.lattice = lattice
        self.windows = list(lattice.windows())
        self.backend = backend
        self.origin = origin
        self.void = frozenset(void)
        self._folder = folder
        self._room = free(backend) // 2 if room is None else room
        self._held: dict[int, Piece | Stored] = {}
        self._canvas: Prediction | None = None
        self._bytes = 0
        self._sound: set[str] = set()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image that the network saw."""
        return self.lattice.shape

    @cached_property
    def folder(self) -> Path:
        """Where pieces go that do not fit into memory."""
        if self._folder is None:
            scratch = mkdtemp(prefix="seg-pieces-")
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            return Path(scratch)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def add(self, number: int, piece: Piece) -> None:
        """Keep the piece of window `number`."""
        if not self._fits(piece):
            self._held[number] = store(piece, self.folder, number, self.backend)
        elif isinstance(piece, Prediction):
            self._held[number] = self._drawn(piece)
        else:
            self._held[number] = piece
            self._bytes += piece.nbytes
        tell("windows", len(self._held), len(self.windows))

    def save(self) -> Path:
        """Write which pieces lie in `folder`, so that another process can `open` it."""
        origin = self.origin
        assert origin is not None, "pieces of an image know their origin"
        about = {
            "lattice": [self.lattice.shape, self.lattice.window, self.lattice.overlap],
            "origin": [origin.shape, origin.shrink, origin.constant, origin.loose, origin.by],
            "void": sorted(self.void),
            "stored": [[n, p.form, p.sha256] for n, p in sorted(self._held.items()) if isinstance(p, Stored)],
        }
        with writing(self.folder):
            whole.text(self.folder / INDEX, json.dumps(about))
        return self.folder

    @classmethod
    def open(cls, folder: Path, backend: Backend, postprocess: PostProcessor) -> Pieces:
        """The pieces that were saved in `folder`, kept for `postprocess`."""
        about = json.loads((folder / INDEX).read_text(encoding="utf8"))
        shape, shrink, constant, loose, by = about["origin"]
        origin = Origin(tuple(shape), tuple(shrink), postprocess, constant, loose, tuple(by))
        found = cls(Lattice(*map(tuple, about["lattice"])), backend, origin, folder, void=about["void"])
        for number, form, sha256 in about["stored"]:
            found.put(number, Stored(str(folder / file_of(number)), form, sha256))
        return found

    def put(self, number: int, stored: Stored) -> None:
        """Take over the piece of window `number` that another process has stored in `folder`."""
        self._held[number] = stored
        tell("windows", len(self._held), len(self.windows))

    def take(self, shelf: Shelf) -> list[int]:
        """Take over what is on a shelf, whose digests were compared; gives the numbers of the windows that are not."""
        known = shelf.known(STAGE)
        for number in self.missing():
            if (sha256 := known.get(file_of(number))) is not None:
                path = self.folder / file_of(number)
                with arrays.opened(path) as (_, about):
                    form = next(name for name in FORMS if name in about)
                self.put(number, Stored(str(path), form, sha256))
                self._sound.add(str(path))
        return self.missing()

    def missing(self) -> list[int]:
        """The windows of which nothing is kept, and should be."""
        return [n for n in range(len(self.windows)) if n not in self._held and n not in self.void]

    @property
    def dense(self) -> bool:
        """Whether they hold heads of all voxels."""
        return isinstance(self._like, Prediction)

    def read(self, outer: Box, core: Box) -> Piece:
        """The pieces in `outer`, joined; `core` is what the block that reads them answers for. Read-only."""
        found = self._joined(outer, core)
        sealed(found)
        return found

    def _joined(self, outer: Box, core: Box) -> Piece:
        if self._canvas is not None:  # in which windows that are void are 0
            part = self._canvas.crop(outer)
            return replace(part, core=core, heads={name: head[...] for name, head in part.heads.items()})
        parts = [self._part(number, self.windows[number].core & outer) for number in self.lattice.numbers(outer)]
        return joined(parts, outer, core, self.backend.xp)

    def _part(self, number: int, box: Box) -> Piece:
        if number in self.void:
            return vacant(self._like, self.windows[number], self.backend.xp).crop(box)
        piece = self._held[number]
        if isinstance(piece, Stored):
            piece = load(piece, box, self._sound, self.backend)
        return piece.crop(box)

    @cached_property
    def _like(self) -> Piece:
        """Some piece, for its form."""
        some = next(number for number in range(len(self.windows)) if number not in self.void)
        return self._part(some, self.windows[some].core)

    def _fits(self, piece: Piece) -> bool:
        if isinstance(piece, Prediction):
            # All of them or none: the windows of an image are of one size.
            all_of_them = piece.nbytes // max(1, piece.box.size) * prod(self.shape)
            return self._canvas is not None or all_of_them <= self._room
        # Without room not even an empty piece stays, so that all of them can be opened elsewhere.
        return self._room > 0 and self._bytes + piece.nbytes <= self._room

    def _drawn(self, piece: Prediction) -> Prediction:
        """The piece as a part of the array of the whole image."""
        if self._canvas is None:
            xp = self.backend.xp
            heads = {n: xp.zeros((len(head), *self.shape), xp.float32) for n, head in piece.heads.items()}
            box = Box.whole(self.shape)
            self._canvas = Prediction(heads, box, box, self.shape, piece.voxel_size)
        there = self._canvas.crop(piece.box)
        for name, head in there.heads.items():
            head[...] = piece.heads[name]
        return there
