"""`seg export`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import InputError, ModelError, UsageError
from toolkit.files import whole

if TYPE_CHECKING:
    from toolkit.registry.bioimageio.example import Example
    from toolkit.registry.package import ModelPackage
    from toolkit.registry.verify import Result


def export(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a training run, or a model.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.zip", help="The package.")],
    name: Annotated[str | None, typer.Option(help="Title of the model. [default: as its card says]")] = None,
    author: Annotated[list[str] | None, typer.Option(help="An author; may be repeated.")] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights, an SPDX name. [default: of the card of model or method, else CC-BY-4.0]"
        ),
    ] = None,
    cite: Annotated[list[str] | None, typer.Option(metavar="DOI", help="What to cite; may be repeated.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model does, on which images.")] = None,
    version: Annotated[str, typer.Option(help="Version of the model.")] = "1.0",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="Image to show the model on. [default: one of the run's validation images]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a package that exists.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Export a model that finds nothing all the same.")] = False,
    as_json: console.Json = False,
) -> None:
    """Export a model as a bioimage.io package with its instances.

    A clean process loads the package and compares test output and instances before anything is written. A model that
    finds nothing, or scored 0 where it was trained, is refused.

    Example: seg export run -o nuclei.zip --name "Nuclei" --author "A. Author" --licence CC0-1.0
    """
    whole.replaceable(out)
    if out.suffix.lower() != ".zip":
        raise UsageError("a package is a zip", out, f"say -o {out.with_suffix('.zip')}")
    if out.exists() and not overwrite:
        raise UsageError("the output exists", out, "choose another -o, or say --overwrite")
    from toolkit.gpu.backend import Backend
    from toolkit.pipeline.engines import choose
    from toolkit.pipeline.segment import segment
    from toolkit.registry import resolve
    from toolkit.registry.bioimageio.beside import About, card, titled
    from toolkit.registry.export import export as write
    from toolkit.registry.export import exportable

    plugins = catalogue(context)
    model = resolve.load(run, plugins)
    exportable(model)
    about_it = card(model, plugins)
    about = About(
        name=name or titled(model, about_it),
        description=description or about_it.description or f"Instances by the method {model.recipe.postprocess.kind}.",
        authors=tuple(author or about_it.authors),
        licence=licence or about_it.spdx or "CC-BY-4.0",
        cite=tuple(cite or about_it.cite),
        version=version,
        tags=tuple(tag or ()),
    ).checked()
    if licence is None:
        console.progress().print(f"note   its licence is {about.licence}; --licence says another", markup=False)
    engine = choose("auto", model, Backend()).plain()
    example = _example(model, Path(run), image)
    with console.progress().status("the package is made, loaded again and compared"):
        found = write(model, about, example, out, plugins, segment, engine, _verify, force)
    if as_json:
        console.document({"out": str(out), "verified": [result.what for result in found]})
        return
    for result in found:
        console.progress().print(f"same   {result.what}: {result.detail}", markup=False)
    console.results().print(f"wrote  {out}", markup=False)


def _example(model: ModelPackage, run: Path, image: Path | None) -> Example:
    from toolkit.registry.bioimageio import example
    from toolkit.registry.package import trained

    if image is not None:
        return example.of_image(image, model.recipe)
    data = trained(run).get("data")
    if data is None:
        raise UsageError("there is no image to show the model on", run, "name one with --image")
    if not Path(str(data).partition(":")[0]).exists():
        cure = "name an image with --image, or export where the training ran"
        raise InputError("the images of the training are not here", data, cure)
    return example.of_data(f"{data}:val", model.recipe)


def _verify(path: Path) -> list[Result]:
    """What `seg models test` finds in a process of its own."""
    from toolkit.registry.verify import Result

    command = [sys.executable, "-m", "toolkit.cli", "models", "test", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        said = (done.stderr.strip().splitlines() or ["no output"])[-1].removeprefix("error: ")
        raise ModelError("the package cannot be loaded again", said, "nothing was written; please report it")
    return [Result(**result) for result in json.loads(done.stdout)]
