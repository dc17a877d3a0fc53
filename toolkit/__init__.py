"""Instance segmentation of microscopy images. The same calls are behind the command line `seg`.

>>> import toolkit
>>> instances = toolkit.segment("nuclei.tif")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolkit.evaluation.evaluate import Evaluation
    from toolkit.pipeline.session import Session as Session
    from toolkit.plugins.recipe import Recipe as Recipe
    from toolkit.registry.package import ModelPackage as ModelPackage
    from toolkit.values.image import Image as Image
    from toolkit.values.instances import Instances as Instances
    from toolkit.values.truth import Truth as Truth

    Labels = str | Path | NDArray[Any] | Instances

_HOME = {
    "Image": "toolkit.values.image",
    "Instances": "toolkit.values.instances",
    "ModelPackage": "toolkit.registry.package",
    "Recipe": "toolkit.plugins.recipe",
    "Session": "toolkit.pipeline.session",
    "Truth": "toolkit.values.truth",
}
__all__ = [*_HOME, "evaluate", "load_model", "segment", "train"]


def segment(
    image: str | Path | NDArray[Any] | Image,
    model: str | Path | ModelPackage | None = None,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    block: int | None = None,
    axes: str | None = None,
    voxel_size: Sequence[float] | None = None,
) -> Instances:
    """The objects of one image.

    `image`: a path, an array or an `Image`; `axes` such as "YXC", of an array YX, ZYX or CZYX unless said. `model`: a
    name, a path or what `load_model` gave; None: the shipped model that suits the image best. `changes`:
    `"section.field=value"` as with `--set`. `voxel_size` in µm, `(Z)YX`. `block`: voxels per axis of the pieces that
    are worked on; the result does not depend on it. Raises a `ToolkitError` with a sentence.
    """
    from toolkit.pipeline.segment import segment as run
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.choose import choose, load

    catalogue = Catalogue()
    seen = _image(image, axes, voxel_size)
    if model is None:
        model = load(choose(seen, catalogue)[0], catalogue)
    elif isinstance(model, Path):
        model = str(model)
    return run(seen, model, changes=changes, device=device, block=block, catalogue=catalogue)


def load_model(model: str | Path) -> ModelPackage:
    """A model by name or path: the folder of a training, a bioimage.io package, a recipe with weights beside it.

    Raises `ModelError` if it is damaged or its plugin is absent, `NotTrusted` if it is code that nobody reviewed or
    trusts, `UsageError` if there is none.
    """
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.resolve import load

    return load(str(model), Catalogue())


def train(
    data: str | Path,
    out: str | Path,
    *,
    plugin: str | None = None,
    recipe: str | Path | None = None,
    model: str | Path | None = None,
    changes: Sequence[str] = (),
    deduce: bool = False,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
) -> ModelPackage:
    """Train a method on the data set folder `data`, with splits train and val, into the folder `out`; the model.

    The arguments are those of `seg train`: name a `plugin`, a `recipe` (name or file) or a `model` to start from;
    `minutes` or `steps` say how long. Raises a `ToolkitError` with a sentence.
    """
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.training.begin import begin

    begin(
        data, out, Catalogue(), plugin=plugin, recipe=recipe, model=model, changes=changes, deduce=deduce,
        minutes=minutes, steps=steps, device=device, threads=threads, resume=resume,
    )  # fmt: skip
    return load_model(out)


def evaluate(
    predicted: Labels | Sequence[Labels],
    truth: Labels | Truth | Sequence[Labels | Truth],
    metrics: str | Sequence[str] = (),
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compare predicted objects with true ones: `evaluate(a, b, "S").summary["S@0.50"]["mean"]`.

    Both are label images `(Z)YX` or `Instances`, one or a sequence of them, or two paths as with `seg evaluate`.
    `metrics`: names, all built-in ones by default. `samples` bootstrap samples make the 95 % intervals. Raises
    `InputError` for shapes that differ and for partners that are missing.
    """
    from toolkit.evaluation import evaluate as evaluation
    from toolkit.evaluation.arrays import given
    from toolkit.evaluation.named import find_metrics
    from toolkit.evaluation.pairing import pairs
    from toolkit.plugins.catalogue import Catalogue

    found = find_metrics([metrics] if isinstance(metrics, str) else metrics, Catalogue())
    if isinstance(predicted, str | Path) and isinstance(truth, str | Path):
        both = pairs(predicted, truth)
    else:
        both = given(predicted, truth)
    return evaluation.evaluate(both, found, samples=samples, seed=seed)


def _image(image: str | Path | NDArray[Any] | Image, axes: str | None, voxel_size: Sequence[float] | None) -> Image:
    from toolkit import io
    from toolkit.values.image import Image

    if isinstance(image, Image):
        return image
    size = None if voxel_size is None else tuple(voxel_size)
    if isinstance(image, str | Path):
        return io.read(Path(image), axes, size)
    return io.of_array(image, axes, size)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
