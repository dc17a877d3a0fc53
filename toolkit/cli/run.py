"""`seg run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.cli.show import Changes
from toolkit.errors import InputError, UsageError, nearest


def run(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT…", help="Files, folders, globs, OME-Zarr or DATASET:SPLIT.")
    ] = None,
    plugin: Annotated[
        str | None, typer.Option(help="The method; alone it takes the model that the plugin ships.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of a model.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Run the model with this recipe, a name or a file.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the results. [default: INPUT's stem + .seg]")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|N|grey|haematoxylin", help="What is seen; once for each that the model takes."),
    ] = None,
    diameter: Annotated[
        str | None,
        typer.Option(
            metavar="PX|<n>um|auto|off",
            help="Median diameter of the objects; default: auto, and off for DATASET:SPLIT.",
        ),
    ] = None,
    changes: Changes = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    engine: Annotated[str, typer.Option(help="What runs the network: auto, torch or onnxruntime.")] = "auto",
    axes: Annotated[str | None, typer.Option(help="Axes of the file, such as ZYX or YXC.")] = None,
    voxel_size: Annotated[str | None, typer.Option(help="Micrometres per voxel, (Z,)Y,X.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per core.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Let the workers of a dask cluster do it.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep what is done of large images in this folder meanwhile.")
    ] = None,
    skip_block: Annotated[
        list[str] | None, typer.Option(metavar="BOX", help="Look for nothing there, (Z,)Y,X: a block that fails.")
    ] = None,
    block: Annotated[int | None, typer.Option(min=1, help="Voxels per axis of the pieces that are worked on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
    from_record: Annotated[
        Path | None, typer.Option("--from", metavar="RUN.json", help="Repeat the run of this record.")
    ] = None,
    roi: Annotated[
        str | None, typer.Option(metavar="BOX", help="Objects in a part of the image, (Z,)Y,X: 0:512,100:300.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="Objects where this image is not 0.")] = None,
    features: Annotated[str | None, typer.Option(help="More columns of the table: shape, intensity or both.")] = None,
    show: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Store what the method thought: heads, entropy, scores …"),
    ] = None,
    also: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Files for other programs: imagej, rois, geojson, anndata.")
    ] = None,
    ome_zarr: Annotated[str | None, typer.Option(metavar="0.5|0.4", help="Version of OME-Zarr. [default: 0.5]")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the table as Parquet too.")] = False,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out objects of a smaller score.")] = 0.0,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a Zarr whose chunks are not all stored.")] = False,
    no_preview: Annotated[bool, typer.Option("--no-preview", help="Write no overlays; else of the first 50.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say the plan and stop.")] = False,
    stage: Annotated[str | None, typer.Option(help="Make one stage alone, as a job of a cluster.")] = None,
    only_blocks: Annotated[
        str | None, typer.Option(metavar="I:J", help="Of a --stage, only these windows or blocks.")
    ] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="With --dry-run, print a script of jobs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a run of hours.")] = False,
    as_json: console.Json = False,
) -> None:
    """Segment images: objects, table, overlay and a record of the run.

    Without --plugin and --model, the installed methods are asked, and of the models that they ship the one runs that
    suits the first image best.

    Example: seg run nuclei.tif
    """
    from toolkit.cli.runner import execute
    from toolkit.cli.wish import Wish, repeated

    wish = Wish(
        inputs=tuple(inputs or ()),
        plugin=plugin,
        model=model,
        out=out,
        channels=tuple(channel or ()),
        changes=tuple(changes or ()),
        named=recipe,
        diameter=diameter,
        roi=roi,
        mask=mask,
        device=device,
        engine=engine,
        axes=axes,
        voxel_size=_numbers(voxel_size),
        workers=workers,
        scheduler=scheduler,
        work=work.absolute() if work else None,
        skip=tuple(skip_block or ()),
        stage=stage,
        only=_range(only_blocks, stage),
        slurm=slurm,
        block=block,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        features=_features(features),
        show=_named(show),
        also=_named(also),
        ome_zarr=_version(ome_zarr),
        parquet=parquet,
        min_score=min_score,
        preview=not no_preview,
        dry_run=dry_run,
        yes=yes,
    )
    if from_record is not None:
        wish = repeated(wish, from_record)
    if not wish.inputs:
        raise InputError("no image was given", do="name a file, a folder or DATASET:SPLIT")
    execute(wish, catalogue(context), as_json)


def _range(text: str | None, stage: str | None) -> range | None:
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if stage is None or not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise UsageError(
            "these are no blocks of a stage", f"--only-blocks {text}", "such as --stage pieces --only-blocks 0:64"
        )
    return range(int(first), int(last))


def _features(text: str | None) -> tuple[str, ...]:
    from toolkit.running.recorded import Feature

    known = get_args(Feature)
    names = known if _named(text) == ("both",) else _named(text)
    for name in names:
        if name not in known:
            raise UsageError("no such features", f"--features {name}", nearest(name, known))
    return names


def _version(text: str | None) -> str | None:
    if text not in (None, "0.4", "0.5"):
        raise UsageError("no such version of OME-Zarr is written", f"--ome-zarr {text}", "choose 0.5 or 0.4")
    return text


def _named(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < n < float("inf") for n in numbers):
        raise UsageError(
            "a voxel size is numbers above 0, separated by commas", f"--voxel-size {text}", "such as 1.75,0.8,0.8"
        )
    return numbers
