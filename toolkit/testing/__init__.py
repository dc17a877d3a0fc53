"""For plugin authors: tests to inherit, generated scenes, and what of the core the tests of a method need.

    class TestMyPostProcessor(PostProcessorTests):
        spec = MyPostProcessor()

        def heads(self, scene):
            return {"foreground": (scene.truth.covered > 0)[None].astype("float32")}

`RecipeTests` needs nothing but a name and covers most. `blobs` and `worms` draw images with known objects;
`toolkit.testing.strategies` (needs hypothesis) draws labels, instances, scenes and blocks. `seg plugins check` runs the
same tests without pytest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.pipeline.predictor import Predictor as Predictor
    from toolkit.pipeline.raw import activate as activate
    from toolkit.pipeline.segment import segment as segment
    from toolkit.plugins.catalogue import Catalogue as Catalogue
    from toolkit.plugins.recipe import Recipe as Recipe
    from toolkit.registry.package import channels as channels
    from toolkit.registry.package import save as save_weights  # noqa: F401
    from toolkit.registry.resolve import load as load_model  # noqa: F401
    from toolkit.steps.matching import compare as compare
    from toolkit.steps.normalise import Normalise as Normalise
    from toolkit.steps.normalise import fit as fit_scale  # noqa: F401
    from toolkit.testing.blockwise import Heads as Heads
    from toolkit.testing.blockwise import assemble as assemble
    from toolkit.testing.blockwise import grid as grid
    from toolkit.testing.blockwise import pieces as pieces
    from toolkit.testing.blockwise import prediction as prediction
    from toolkit.testing.command import seg as seg
    from toolkit.testing.device import RawModule as RawModule
    from toolkit.testing.device import device as simulated_gpu  # noqa: F401
    from toolkit.testing.gpu import need_gpu as need_gpu
    from toolkit.testing.loss import LossTests as LossTests
    from toolkit.testing.metric import MetricTests as MetricTests
    from toolkit.testing.network import NetworkTests as NetworkTests
    from toolkit.testing.postprocessor import PostProcessorTests as PostProcessorTests
    from toolkit.testing.recipe import RecipeFormTests as RecipeFormTests
    from toolkit.testing.recipe import RecipeTests as RecipeTests
    from toolkit.testing.scenes import Scene as Scene
    from toolkit.testing.scenes import blobs as blobs
    from toolkit.testing.scenes import worms as worms
    from toolkit.testing.step import one_step as one_step
    from toolkit.training.augment import Sample as Sample
    from toolkit.training.augment import flip as flip
    from toolkit.training.augment import rotate as rotate
    from toolkit.training.footprint import footprint as footprint
    from toolkit.training.start import train as train
    from toolkit.values.tiles import Lattice as Lattice
    from toolkit.values.tiles import blocks as blocks

_HOME = {
    "Catalogue": ("plugins.catalogue", "Catalogue"),
    "Heads": ("testing.blockwise", "Heads"),
    "Lattice": ("values.tiles", "Lattice"),
    "LossTests": ("testing.loss", "LossTests"),
    "MetricTests": ("testing.metric", "MetricTests"),
    "NetworkTests": ("testing.network", "NetworkTests"),
    "Normalise": ("steps.normalise", "Normalise"),
    "PostProcessorTests": ("testing.postprocessor", "PostProcessorTests"),
    "Predictor": ("pipeline.predictor", "Predictor"),
    "RawModule": ("testing.device", "RawModule"),
    "Recipe": ("plugins.recipe", "Recipe"),
    "RecipeFormTests": ("testing.recipe", "RecipeFormTests"),
    "RecipeTests": ("testing.recipe", "RecipeTests"),
    "Sample": ("training.augment", "Sample"),
    "Scene": ("testing.scenes", "Scene"),
    "activate": ("pipeline.raw", "activate"),
    "assemble": ("testing.blockwise", "assemble"),
    "blobs": ("testing.scenes", "blobs"),
    "blocks": ("values.tiles", "blocks"),
    "channels": ("registry.package", "channels"),
    "compare": ("steps.matching", "compare"),
    "fit_scale": ("steps.normalise", "fit"),
    "flip": ("training.augment", "flip"),
    "footprint": ("training.footprint", "footprint"),
    "grid": ("testing.blockwise", "grid"),
    "load_model": ("registry.resolve", "load"),
    "need_gpu": ("testing.gpu", "need_gpu"),
    "one_step": ("testing.step", "one_step"),
    "pieces": ("testing.blockwise", "pieces"),
    "prediction": ("testing.blockwise", "prediction"),
    "rotate": ("training.augment", "rotate"),
    "save_weights": ("registry.package", "save"),
    "seg": ("testing.command", "seg"),
    "segment": ("pipeline.segment", "segment"),
    "simulated_gpu": ("testing.device", "device"),
    "train": ("training.start", "train"),
    "worms": ("testing.scenes", "worms"),
}
__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    globals()[name] = value = getattr(import_module(f"toolkit.{module}"), attribute)
    return value
