"""Instance segmentation of microscopy images. The same calls are behind the command line `seg`.

>>> import toolkit
>>> instances = toolkit.segment("nuclei.tif", model="embedseg")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.evaluation.evaluate import evaluate as evaluate
    from toolkit.pipeline.segment import segment as segment
    from toolkit.pipeline.session import Session as Session
    from toolkit.plugins.recipe import Recipe as Recipe
    from toolkit.registry.package import ModelPackage as ModelPackage
    from toolkit.registry.resolve import load as load_model  # noqa: F401  (public under this name)
    from toolkit.training.start import train as train
    from toolkit.values.image import Image as Image
    from toolkit.values.instances import Instances as Instances

_HOME = {
    "Image": ("toolkit.values.image", "Image"),
    "Instances": ("toolkit.values.instances", "Instances"),
    "ModelPackage": ("toolkit.registry.package", "ModelPackage"),
    "Recipe": ("toolkit.plugins.recipe", "Recipe"),
    "evaluate": ("toolkit.evaluation.evaluate", "evaluate"),
    "load_model": ("toolkit.registry.resolve", "load"),
    "Session": ("toolkit.pipeline.session", "Session"),
    "segment": ("toolkit.pipeline.segment", "segment"),
    "train": ("toolkit.training.start", "train"),
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    globals()[name] = value = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return __all__
