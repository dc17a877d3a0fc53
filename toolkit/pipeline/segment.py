"""The straight line: read → normalise → predict → assemble → stitch. Measuring and writing follow in `output`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import InputError, ModelError
from toolkit.files import plain_yaml
from toolkit.gpu.backend import Backend, select
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import PostProcessor
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.steps import channels, normalise
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import enlarge, shrink
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Block, blocks


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
    allow: tuple[str, ...] | None = None

    @classmethod
    def of(cls, loaded: ModelPackage, backend: Backend, allow: tuple[str, ...] | None = None) -> Model:
        return cls(loaded.reference, loaded.owner, loaded.recipe.dump(), loaded.sha256, backend.device, allow)


@dataclass(frozen=True)
class Source:
    """Names an image so that any process can read it; `stamp` tells one state of a file from another."""

    path: str
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    stamp: str = ""


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a worker has at hand to work on any block of one image.

    `image` is what the network sees; objects are enlarged by `shrink` to the image of `shape` that it was made from.
    """

    image: Image
    scale: Scale
    predictor: Predictor
    postprocess: PostProcessor
    shape: tuple[int, ...]
    shrink: tuple[int, ...]

    @classmethod
    def of(cls, image: Image, predictor: Predictor) -> Scene:
        """The scene of a whole image; raises a sentence if image and recipe do not fit."""
        recipe = predictor.recipe
        seen = prepare(image, recipe)
        scale = normalise.fit(seen, recipe.normalise)
        return cls(seen, scale, predictor, recipe.postprocess, image.shape, recipe.shrink)

    @property
    def backend(self) -> Backend:
        return self.predictor.backend

    def local(self, number: int, state: Any, block: Block) -> Any:
        """Fragment of a block in pass `number`."""
        halo = self.postprocess.halo(self.image.ndim)
        outer = block.core.grow(halo, within=self.image.shape)
        seen = self.predictor(self.image, self.scale, outer)
        own = type(seen)(seen.heads, seen.box, block.core, seen.shape, seen.voxel_size)
        part = state.window(outer) if state is not None else None
        return self.postprocess.passes()[number].local(own, part, self.backend)


def segment(
    image: Image | Any,
    model: ModelPackage | str,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    block: int | None = None,
    catalogue: Catalogue | None = None,
) -> Instances:
    """Instances of one image.

    `image`: an `Image`, a path, or an array `(Z)YX` or `C(Z)YX` (then say so with `Image.from_array`). `model`: a
    loaded package, or the name or path of one. `changes`: `"section.field=value"`. `block`: voxels per axis of the
    pieces that are worked on, rounded up to whole window cores; the result does not depend on it.
    """
    catalogue = catalogue or Catalogue()
    loaded = resolve.load(model, catalogue) if isinstance(model, str) else model
    loaded = loaded.with_recipe(loaded.recipe.changed(changes, catalogue, loaded.owner)) if changes else loaded
    if isinstance(image, str | Path):
        image = io.read(Path(image))
    elif not isinstance(image, Image):
        image = Image.from_array(image)
    predictor = Predictor(loaded, select(device))
    return assemble(Scene.of(image, predictor), block)


def prepare(image: Image, recipe: Recipe) -> Image:
    """What the network sees: channels, perhaps shrunk; raises a sentence if image and recipe do not fit."""
    if image.ndim != recipe.ndim:
        raise InputError(
            f"the model works on {recipe.ndim}-D images and this one is {image.ndim}-D",
            image.name,
            f"choose a {image.ndim}-D model, or say --axes",
        )
    return shrink(channels.select(image, recipe.input.channels), recipe.shrink)


def assemble(
    scene: Scene, block: int | None = None, run: Map = serial, remote: Callable[..., Any] | None = None
) -> Instances:
    """All passes over all blocks. `remote(number, state, block)` does a block's work elsewhere (default: here)."""
    if scene.scale.constant:  # nothing to see: any object would be an invention of the network
        return Instances.empty(scene.shape)
    work = blocks(scene.predictor.lattice(scene.image.shape), block)
    state: Any = None
    for number, sweep in enumerate(scene.postprocess.passes()):
        fragments = list(run(partial(remote or scene.local, number, state), work))
        state = sweep.reduce(fragments, state, scene.backend)
    assert isinstance(state, Instances), "the last reduce of a post-processor gives Instances"
    return enlarge(state, scene.shrink, scene.shape)


@lru_cache(maxsize=1)
def predictor(model: Model) -> Predictor:
    """The model in this process; kept for the next block or image."""
    catalogue = Catalogue(model.allow)
    loaded = resolve.load(model.reference, catalogue, model.owner)
    if loaded.sha256 != model.sha256:
        raise ModelError("the model has changed since it was chosen", model.reference, "start again")
    recipe = Recipe.parse(plain_yaml.load(model.recipe.encode()), catalogue, loaded.owner)
    return Predictor(loaded.with_recipe(recipe), Backend(model.device))


@lru_cache(maxsize=1)
def scene(model: Model, source: Source) -> Scene:
    """The image and the model in this process; kept for the next block."""
    there = predictor(model)
    return Scene.of(io.read(Path(source.path), source.axes, source.voxel_size), there)


def block_elsewhere(model: Model, source: Source, number: int, state: Any, block: Block) -> Any:
    """`Scene.local` for a process that starts with nothing."""
    return scene(model, source).local(number, state, block)
