"""A model in a process that starts with nothing: what workers work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import ModelError, UsageError
from toolkit.files import plain_yaml
from toolkit.gpu.backend import Backend
from toolkit.io.shards import Shard
from toolkit.pipeline import written
from toolkit.pipeline.engines import ASKED, Engine, choose
from toolkit.pipeline.passes import Work, local, store
from toolkit.pipeline.pieces import INDEX, Pieces
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session, Share
from toolkit.pipeline.shelf import Part, read
from toolkit.pipeline.sized import rescaling
from toolkit.pipeline.stored import Stored
from toolkit.pipeline.tools import tools
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.steps.normalise import Scale
from toolkit.steps.sizes import Diameter
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.scattered import Near


@dataclass(frozen=True)
class Model:
    """Names a model so that any process can load it: what `resolve.load` takes, and the recipe to run it with.

    `sha256` tells whether it is still the same model.
    """

    reference: str
    owner: str | None
    recipe: str
    sha256: str
    device: str
    engine: Engine
    allow: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, loaded: ModelPackage, backend: Backend, allow: tuple[str, ...] | None = None, engine: Engine | None = None
    ) -> Model:
        """`engine`: default is that of `auto`."""
        engine = engine or choose("auto", loaded, backend)
        return cls(loaded.reference, loaded.owner, loaded.recipe.dump(), loaded.sha256, backend.device, engine, allow)

    def session(self) -> Session:
        """The model in this process; raises `ModelError` if it is another by now, `UsageError` if its engine is not to
        be had here."""
        catalogue = Catalogue(self.allow)
        loaded = resolve.load(self.reference, catalogue, self.owner)
        if loaded.sha256 != self.sha256:
            raise ModelError("the model has changed since it was chosen", self.reference, "start again")
        recipe = Recipe.parse(plain_yaml.load(self.recipe.encode()), catalogue, loaded.owner)
        loaded, backend = loaded.with_recipe(recipe), Backend(self.device)
        if choose(self.engine.kind if self.engine.kind in ASKED else "auto", loaded, backend) != self.engine:
            raise UsageError("this machine has another engine than the run was begun with", str(self.engine),
                             "use workers of one kind")  # fmt: skip
        return Session(loaded, backend, catalogue, self.engine)


@dataclass(frozen=True)
class Source:
    """Names an image, and what is seen of it, so that any process can read it; `stamp` tells one state of a file from
    another, `by` are the factors that it is rescaled by, `shows` is what is noted of heads."""

    path: str
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    stamp: str = ""
    frame: int = 0
    by: tuple[float, ...] = ()
    shows: tuple[str, ...] = ()

    def read(self) -> Image:
        return io.read(Path(self.path), self.axes, self.voxel_size, self.frame)


class Bench:
    """A session, and the image that it worked on last: the `tools()` of a worker."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._source: Source | None = None
        self._prepared: Prepared | None = None
        self._state: tuple[str, int, int] | None = None
        self._open: tuple[Pieces, Near]

    @classmethod
    def of(cls, model: Model) -> Bench:
        return cls(model.session())

    def prepared(self, source: Source, scale: Scale | None = None, image: Image | None = None) -> Prepared:
        """The image of `source`, if it was not read yet; with the `scale` that another process has fitted."""
        if self._prepared is None or self._source != source:
            self._prepared = self.session.prepare(image or source.read(), scale, source.by, source.shows)
            self._source = source
        return self._prepared

    def sized(self, source: Source, image: Image, asked: Diameter) -> Rescaling:
        """At what size the image of `source` is seen; so it is `prepared`, with what a look at it has predicted."""
        found, prepared = rescaling(self.session, image, asked, source.shows)
        self._source, self._prepared = replace(source, by=found.by), prepared
        return found

    def ahead(self, numbers: Sequence[int]) -> Prepared:
        """The image that is prepared, with the pieces of some windows."""
        assert self._prepared is not None, "an image was prepared"
        self._prepared = self.session.ahead(self._prepared, numbers)
        return self._prepared

    def pieces(self, folder: str) -> Pieces:
        """The pieces that were saved in `folder`."""
        return self._opened(folder)[0]

    def parts(self, folder: str) -> Near:
        """Sets of parts of objects: what the last pass has left in `folder`, or finds in the pieces there."""
        return self._opened(folder)[1]

    def _opened(self, folder: str) -> tuple[Pieces, Near]:
        saved = (Path(folder) / INDEX).stat()
        state = folder, saved.st_ino, saved.st_mtime_ns  # workers of a cluster outlive a run
        if self._state != state:
            postprocess = self.session.model.recipe.postprocess
            pieces = Pieces.open(Path(folder), self.session.backend, postprocess)

            def made(one: Part | Work) -> Any:
                if isinstance(one, Part):
                    return read(Path(folder), postprocess.passes()[-1].fragment, one)
                return local(postprocess, pieces, False, one)

            self._state, self._open = state, (pieces, Near(made))
        return self._open


def pieces_elsewhere(source: Source, scale: Scale, folder: str, share: Share) -> list[Stored]:
    """`Session.stored` of some windows."""
    bench: Bench = tools()
    return bench.session.stored(bench.prepared(source, scale), Path(folder), share)


def block_elsewhere(folder: str, work: Work) -> str:
    """`passes.store` of a block of the pieces that were saved in `folder`."""
    bench: Bench = tools()
    return store(bench.session.model.recipe.postprocess, bench.pieces(folder), work)


def shard_elsewhere(folder: str, shard: Shard) -> str:
    """`written.store` of a shard of objects whose parts lie in `folder`."""
    bench: Bench = tools()
    return written.store(bench.parts(folder), Path(folder), shard)
