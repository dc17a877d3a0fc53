"""A model as a package that other tools read and that gives the same instances again; nothing unchecked is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.builtin.packaged import Packaged
from toolkit.errors import ModelError, StorageError, UsageError
from toolkit.files import whole
from toolkit.io.overlay import write_overlay
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.refusal import place, sentence
from toolkit.registry.bioimageio.beside import About, Test
from toolkit.registry.bioimageio.example import Example, window
from toolkit.registry.needs import needed
from toolkit.registry.package import ModelPackage, is_run, trained
from toolkit.registry.verify import Result
from toolkit.steps import normalise
from toolkit.values.instances import Instances

OFFLINE = {"BIOIMAGEIO_PERFORM_IO_CHECKS": "0", "BIOIMAGEIO_RESOLVE_DRAFT": "false"}
"""Settings with which the format's library opens no address."""


def export(
    model: ModelPackage,
    about: About,
    example: Example,
    out: Path,
    catalogue: Catalogue,
    segment: Callable[..., Instances],
    engine: Mapping[str, str],
    verify: Callable[[Path], Sequence[Result]],
    force: bool = False,
) -> Sequence[Result]:
    """Write the package of `model` to `out`, once `verify` has found that a clean process reproduces its test data.

    `segment` is `toolkit.pipeline.segment`, which uses `engine`. Returns what was verified. Raises `ModelError` if
    anything differs, and `UsageError` if `about` is not what the format allows, or, without `force`, if the model finds
    nothing in the example or scored 0 where it was trained; then there is no `out`.
    """
    exportable(model)
    about.checked()
    if not example.voxels.shape[1:] == window(model.recipe):
        raise UsageError("the example is not one window", example.name, "choose another --image")
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
    from pydantic import ValidationError

    from toolkit.registry.bioimageio.write import write

    image = example.image
    seen = model.with_recipe(model.recipe.changed(["input.channels=all"], catalogue, model.owner))
    test = Test(
        example, normalise.fit(image, model.recipe.normalise),
        segment(image, seen, device="cpu", catalogue=catalogue), engine,
    )  # fmt: skip
    if not force:
        _useful(model, test)
    plugins = {plugin.name: plugin.version for plugin in needed(model.recipe, catalogue)}
    with TemporaryDirectory(prefix="seg-export-") as scratch:
        folder = Path(scratch) / "package"
        folder.mkdir()
        write_overlay(folder / "cover.png", image, test.instances)
        made = Path(scratch) / "package.zip"
        try:
            write(model, about, test, plugins, folder, made)
        except ValidationError as error:
            where = f"{'.'.join(place(error.errors()[0]['loc']))}: {sentence(error.errors())}"
            raise UsageError("this is not what the format allows", where, "see seg export --help") from error
        found = verify(made)
        wrong = [f"{result.what} ({result.detail})" for result in found if not result.passed]
        if wrong or not found:
            raise ModelError("the package does not give again what the model gave", ", ".join(wrong) or model.name,
                             "nothing was written; please report it")  # fmt: skip
        _publish(made, out)
    return found


def exportable(model: ModelPackage) -> None:
    """Refuse a model of which there is nothing to pack."""
    if isinstance(model.recipe.network, Packaged):
        raise UsageError("this model is a package of somebody else already", model.name, "give that one on")
    if model.recipe.network.untrained:
        raise UsageError(
            "this method has no weights to pack", model.name, "its recipe is the model: publish its plugin"
        )


def _useful(model: ModelPackage, test: Test) -> None:
    """Refuse a model that nobody can use."""
    closing = trained(model.source.parent).get("closing") if is_run(model.source.parent) else None
    if closing and closing["value"] == 0:
        where = f"{closing['metric']} 0 on {closing['images']} images"
        raise UsageError("the model found none of the objects of its validation images", where,
                         "train it longer; --force exports it all the same")  # fmt: skip
    if not len(test.instances):
        raise UsageError("the model finds nothing in the image that it is shown on", test.example.name,
                         "show it on another --image; --force exports it all the same")  # fmt: skip


def _publish(made: Path, out: Path) -> None:
    """Copy to the disk of `out`, which is whole or absent."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole.file(out) as draft:
            draft.write_bytes(made.read_bytes())
    except OSError as error:
        raise StorageError(
            "the package cannot be written", f"{out} ({error})", "free space or choose another -o"
        ) from error
