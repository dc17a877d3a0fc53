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
    from toolkit.pipeline.result import Result as Result
    from toolkit.pipeline.session import Session as Session
    from toolkit.plugins.recipe import Recipe as Recipe
    from toolkit.registry.package import ModelPackage as ModelPackage
    from toolkit.values.image import Image as Image
    from toolkit.values.instances import Instances as Instances
    from toolkit.values.truth import Truth as Truth

    Model = str | Path | ModelPackage | None
    Labels = str | Path | NDArray[Any] | Instances

_HOME = {
    "Image": "toolkit.values.image",
    "Instances": "toolkit.values.instances",
    "ModelPackage": "toolkit.registry.package",
    "Recipe": "toolkit.plugins.recipe",
    "Result": "toolkit.pipeline.result",
    "Session": "toolkit.pipeline.session",
    "Truth": "toolkit.values.truth",
}
__all__ = [*_HOME, "evaluate", "load_model", "segment", "train"]


def segment(
    image: Any,
    model: Model = None,
    *,
    channel: int | str | Sequence[int | str] | None = None,
    diameter: float | str = "auto",
    changes: Sequence[str] = (),
    device: str = "auto",
    block: int | None = None,
    axes: str | None = None,
    voxel_size: Sequence[float] | None = None,
) -> Any:
    """The objects of an image, a `Result`, or a list of them for a list of images.

    `image`: a path, an `Image`, or an array of NumPy, Zarr, dask or xarray; `axes` such as "YXC" or "TYX", else those
    that it names, else what its shape suggests. Frames of a time series are done one by one and stacked. `model`: a
    name, a path or what `load_model` gave; None: the shipped model that suits the (first) image best. `channel`: a
    name, a number from 0, "grey" or "haematoxylin", or a list where the model takes several. `diameter`: that of the
    objects in pixels, or "12um"; "auto" looks for it and shows the model another size where it did not learn this one;
    "off". `changes`: `"section.field=value"`. `voxel_size` in µm, `(Z)YX`. `block`: voxels per axis of the pieces that
    are worked on; the result does not depend on it. What was assumed is in `Result.notes`, and logged. Raises a
    `ToolkitError` with a sentence.
    """
    from toolkit.pipeline.argued import called
    from toolkit.pipeline.arguments import channels_of
    from toolkit.pipeline.result import segmented
    from toolkit.pipeline.session import Session
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.sections import asked
    from toolkit.registry.choose import choose, lent, load
    from toolkit.registry.resolve import load as resolve
    from toolkit.steps.sizes import Diameter

    with called():
        several = isinstance(image, list | tuple) and (not image or any(map(_whole, image)))
        every = _each(image, axes, voxel_size) if several else [_images(image, axes, voxel_size)]
        if not every:
            return []
        catalogue, size, said = Catalogue(), Diameter.parse(diameter), ""
        if model is None:
            loaded = load(choose(every[0][0], catalogue)[0], catalogue)
        else:
            loaded = resolve(str(model), catalogue) if isinstance(model, str | Path) else model
            loaded, said = lent(loaded, every[0][0], catalogue)
        changes = (*changes, *asked(channels_of(channel)))
        if changes:
            loaded = loaded.with_recipe(loaded.recipe.changed(changes, catalogue, loaded.owner))
        session = Session(loaded, device, catalogue)
        found = [segmented(session, frames, size, block, said) for frames in every]
    return found if several else found[0]


def load_model(model: str | Path) -> ModelPackage:
    """A model by name or path: the folder of a training, a bioimage.io package, a recipe with weights beside it.

    Raises `ModelError` if it is damaged or its plugin is absent, `NotTrusted` if it is code that nobody reviewed or
    trusts, `UsageError` if there is none.
    """
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.resolve import load

    return load(str(model), Catalogue())


def train(
    data: str | Path | None,
    out: str | Path,
    *,
    corrections: Sequence[str | Path] = (),
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

    With `corrections`, results that people corrected, it is trained on those and on the split train of `data`, if any.
    The arguments are those of `seg train`: name a `plugin`, a `recipe` (name or file) or a `model` to start from;
    `minutes` or `steps` say how long. Raises a `ToolkitError` with a sentence.
    """
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.training.begin import begin

    begin(
        data, out, Catalogue(), corrections=corrections, plugin=plugin, recipe=recipe, model=model, changes=changes,
        deduce=deduce, minutes=minutes, steps=steps, device=device, threads=threads, resume=resume,
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


def _each(images: Sequence[Any], axes: Any, voxel_size: Any) -> list[tuple[Image, ...]]:
    """The frames of every image of a list."""
    from toolkit import io

    for number, one in enumerate(images):
        if not _whole(one) and not isinstance(one, list | tuple):
            raise io.refused(one, f"entry {number} of the list")
    return [_images(one, axes, voxel_size) for one in images]


def _whole(image: Any) -> bool:
    """Whether this is an image or holds some, and is no row of one."""
    return isinstance(image, str | Path) or any(hasattr(image, name) for name in ("shape", "group_keys", "data_vars"))


def _images(image: Any, axes: Any, voxel_size: Any) -> tuple[Image, ...]:
    from toolkit import io
    from toolkit.errors import UsageError
    from toolkit.pipeline.arguments import axes_of, size_of
    from toolkit.values.image import Image

    letters, size = axes_of(axes), size_of(voxel_size)
    if isinstance(image, Image):
        if letters is not None or size is not None:
            name = "axes" if letters is not None else "voxel_size"
            do = f"leave it out, or make the Image with {name}="
            raise UsageError(f"an Image has its own {name}", f"{name}={letters or size!r}", do)
        return (image,)
    return io.frames(image, letters, size) if isinstance(image, str | Path) else io.of_array(image, letters, size)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
