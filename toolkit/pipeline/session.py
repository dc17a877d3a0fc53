"""A model on a device, kept: predict once, objects many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from toolkit.errors import BlocksFailed, UsageError, about
from toolkit.gpu.absent import served
from toolkit.gpu.backend import Backend
from toolkit.pipeline.engines import Engine, choose, placed
from toolkit.pipeline.noted import NOTED, noted, put
from toolkit.pipeline.origin import Origin, returned, serves
from toolkit.pipeline.passes import keep, sweep
from toolkit.pipeline.pieces import STAGE, Pieces
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.prepared import Prepared, fitted, prepare
from toolkit.pipeline.shelf import Shelf, writing
from toolkit.pipeline.stored import Stored, file_of, store
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.specs import PostProcessor
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.steps.normalise import Scale
from toolkit.steps.rescale import rescale
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.scattered import whole
from toolkit.values.tiles import Lattice, blocks

SHARE = (8, 16)
"""Windows that a worker is asked for at once, on a CPU and on a GPU."""


@dataclass(frozen=True)
class Share:
    """Some windows of an image, by number."""

    numbers: tuple[int, ...]

    def __str__(self) -> str:
        first, last = self.numbers[0], self.numbers[-1]
        return f"window {first}" if first == last else f"windows {first} to {last}"


class Session:
    """A model on a device.

        session = Session("MODEL")
        pieces = session.predict(image)
        session.objects(pieces, ["postprocess.seed=0.6"])

    An image is predicted once, its objects are made as often as one likes.
    """

    def __init__(
        self,
        model: ModelPackage | str,
        device: str | Backend = "auto",
        catalogue: Catalogue | None = None,
        engine: str | Engine = "auto",
    ) -> None:
        """`model`: a loaded package, or the name or path of one. `device`: auto, cpu or cuda:N. `engine`: auto, torch
        or onnxruntime, or the one that was chosen before."""
        self.catalogue = catalogue or Catalogue()
        self.model = resolve.load(model, self.catalogue) if isinstance(model, str) else model
        asked = engine.kind if isinstance(engine, Engine) else engine
        network, postprocess = self.model.recipe.network, self.model.recipe.postprocess
        used = not network.untrained or postprocess.needs_gpu
        self.backend = device if isinstance(device, Backend) else placed(device, asked, used)
        served((network, postprocess), self.backend)
        self.engine = engine if isinstance(engine, Engine) else choose(engine, self.model, self.backend)

    @cached_property
    def predictor(self) -> Predictor:
        """The network, loaded when it is first asked."""
        return Predictor(self.model, self.backend, self.engine)

    def predict(self, image: Image, folder: Path | None = None) -> Pieces:
        """What the network says of `image`, as far as some values of the post-processor's tunable fields need it.

        Held in memory, in `folder` or in a temporary one as far as it does not fit.
        """
        return self.pieces(self.prepare(image), folder=folder, loose=True)

    def objects(
        self, pieces: Pieces, changes: Sequence[str] | PostProcessor = (), block: int | None = None
    ) -> Instances:
        """The objects of an image that was predicted.

        `changes`: `"postprocess.field=value"`, or the whole post-processor. Raises `UsageError` that names the field if
        the pieces were not kept for such a value, or if something is changed that only a new prediction can show.
        """
        assert pieces.origin is not None, "a session makes pieces with their origin"
        return whole(returned(self.found(pieces, changes, block), pieces.origin))

    def found(self, pieces: Pieces, changes: Sequence[str] | PostProcessor = (), block: int | None = None) -> Instances:
        """Like `objects`, in what the network saw."""
        origin = pieces.origin
        assert origin is not None, "a session makes pieces with their origin"
        postprocess = changes if isinstance(changes, PostProcessor) else self._changed(changes)
        serves(origin, postprocess)
        if origin.constant:  # nothing to see: any object would be an invention of the network
            return Instances.empty(pieces.shape)
        return whole(sweep(postprocess, pieces, blocks(pieces.lattice, block), loose=origin.loose))

    def prepare(
        self, image: Image, scale: Scale | None = None, by: tuple[float, ...] = (), shows: Sequence[str] = ()
    ) -> Prepared:
        """What the network sees of a whole image, with the `scale` that was fitted to it, if one was, and rescaled `by`
        so many voxels per voxel; raises a sentence if image and recipe do not fit. `shows`: of `heads` and `entropy`,
        what is noted for people to look at."""
        recipe = self.model.recipe
        seen = prepare(image, recipe)
        if recipe.network.untrained:
            recipe.expects(recipe.network.gives(seen.channels))
        series = image.series if recipe.normalise.together else None
        known = scale or fitted(seen if series is None else prepare(series, recipe), recipe.normalise)
        wanted = tuple(name for name in shows if name in NOTED)
        return Prepared(rescale(seen, by), known, image.shape, by, shows=wanted)

    def lattice(self, prepared: Prepared) -> Lattice:
        """The windows of an image."""
        return self.model.recipe.lattice(prepared.image.shape)

    def pieces(
        self,
        prepared: Prepared,
        *,
        folder: Path | None = None,
        loose: bool = False,
        room: int | None = None,
        shelf: Shelf | None = None,
        run: Map = serial,
        remote: Callable[[Share], Sequence[Stored]] | None = None,
        only: range | None = None,
    ) -> Pieces:
        """The stage `pieces`: every window is predicted once.

        With a `shelf` all pieces are its files, and those that it has are not made again; `remote(share)` makes those
        of some windows elsewhere. `only`: of the windows that were not predicted ahead, no others.
        """
        recipe = self.model.recipe
        origin = Origin(prepared.shape, recipe.shrink, recipe.postprocess, prepared.scale.constant, loose, prepared.by)
        if shelf is not None:
            folder, room = shelf.folder, 0
        found = Pieces(self.lattice(prepared), self.backend, origin, folder, room, prepared.void)
        if origin.constant:
            return found
        if shelf is None:
            numbers = found.missing()
            for number, piece in zip(numbers, self.kept(prepared, numbers, loose), strict=True):
                found.add(number, piece)
            return found
        with writing(shelf.folder):
            found.folder  # noqa: B018  (made before anybody writes there)
        missing, here = found.take(shelf), partial(self.stored, prepared, shelf.folder)
        at_hand = [number for number in missing if number in prepared.kept]
        todo = [number for number in missing if number not in prepared.kept and (only is None or number in only)]
        _put(found, shelf, serial, here, at_hand, max(1, len(at_hand)))
        try:
            _put(found, shelf, run, remote or here, todo, SHARE[self.backend.on_gpu])
        except BlocksFailed as error:
            if error.item is None or len(error.item.numbers) == 1:
                raise
            left = set(found.missing())  # which of the windows is to blame
            _put(found, shelf, run, remote or here, [number for number in todo if number in left], 1)
        return found

    def stored(self, prepared: Prepared, folder: Path, share: Share) -> list[Stored]:
        """`kept` of some windows, as files in `folder`."""
        found, made = [], self.kept(prepared, share.numbers)
        for number in share.numbers:
            with about(share if self.backend.on_gpu else Share((number,))):
                piece = next(made)
            found.append(store(piece, folder, number, self.backend))
            if number in prepared.noted:
                with writing(folder):
                    put(prepared.noted.pop(number), folder, number)
        return found

    def ahead(self, prepared: Prepared, numbers: Sequence[int]) -> Prepared:
        """The same with the pieces of some windows, which `pieces` does not predict again."""
        todo = [number for number in numbers if number not in prepared.kept]
        if not todo:
            return prepared
        self.predictor  # noqa: B018  (loaded before its pace is taken)
        began = time.process_time()
        made = dict(zip(todo, self.kept(prepared, todo), strict=True))
        pace = (time.process_time() - began) / len(todo)
        return replace(prepared, kept={**prepared.kept, **made}, pace=pace)

    def kept(self, prepared: Prepared, numbers: Sequence[int], loose: bool = False) -> Iterator[Piece]:
        """The pieces of some windows."""
        lattice, known = self.lattice(prepared), {} if loose else prepared.kept
        todo = [n for n in numbers if n not in known]
        windows = [lattice.numbered(n) for n in todo]
        predictions = self.predictor.windows(prepared.image, prepared.scale, windows)
        if prepared.shows:
            predictions = self._noting(prepared, todo, predictions)
        made = keep(self.model.recipe.postprocess, predictions, self.backend, loose)
        return (known[n] if n in known else next(made) for n in numbers)

    def _noting(self, of: Prepared, numbers: Sequence[int], seen: Iterator[Prediction]) -> Iterator[Prediction]:
        for number, one in zip(numbers, seen, strict=True):
            of.noted[number] = noted(one, self.model.heads, of.shows, self.backend)
            yield one

    def _changed(self, changes: Sequence[str]) -> PostProcessor:
        recipe = self.model.recipe
        changed = recipe.changed(changes, self.catalogue, self.model.owner)
        for section, value in recipe.plain().items():
            if section != "postprocess" and changed.plain()[section] != value:
                raise UsageError("only a new prediction shows this change", section, "change postprocess alone")
        return changed.postprocess


def _put(
    found: Pieces, shelf: Shelf, run: Map, make: Callable[[Share], Sequence[Stored]], todo: Sequence[int], size: int
) -> None:
    """Have some windows made, so many at once, and put them where the others are."""
    shares = [Share(tuple(todo[a : a + size])) for a in range(0, len(todo), size)]
    for share, stored in zip(shares, run(make, shares), strict=True):
        for number, one in zip(share.numbers, stored, strict=True):
            found.put(number, one)
            shelf.add(STAGE, file_of(number), one.sha256)
