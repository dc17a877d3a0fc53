"""`seg evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.files import whole

MARK = '{\n "summary"'
"""How the JSON of an evaluation begins."""


def evaluate(
    context: typer.Context,
    predicted: Annotated[str, typer.Argument(metavar="PRED", help="Label file, or a folder of them or of a run.")],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="Label file, folder, data set or DIR:SPLIT.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="NAME, plugin:NAME or NAME@THRESHOLDS; may be repeated. Default: all."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another prediction of the same images, to compare with.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write everything as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write images.csv and objects.csv.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with curves and the worst crops.")
    ] = None,
    pred_axes: Annotated[str | None, typer.Option(metavar="AXES", help="Axes of PRED, such as YX or LYX.")] = None,
    truth_axes: Annotated[str | None, typer.Option(metavar="AXES", help="Axes of TRUTH, such as ZYX or QYX.")] = None,
    partly: Annotated[
        bool, typer.Option("--partly", help="TRUTH names some objects only: these count, and what is beside them.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 1,
    samples: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples of the 95 % intervals.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the bootstrap.")] = 0,
    as_json: console.Json = False,
) -> None:
    """Compare predicted objects with true ones.

    Images are paired by stem. Every value is a mean over images and, where that exists, pooled over objects; intervals
    are from a bootstrap over images. Predictions mostly in void or unannotated voxels are no errors.

    Example: seg evaluate nuclei.seg data:test --metric S --html report.html
    """
    from toolkit.cli.summary import counted, show
    from toolkit.evaluation import evaluate as evaluation
    from toolkit.evaluation import pairing
    from toolkit.evaluation.named import find_metrics
    from toolkit.pipeline.workers import workers as pool

    if output:
        whole.ours(output, MARK)
    if html:
        from toolkit.report.page import MADE

        whole.ours(html, MADE)
    if csv:
        from toolkit.evaluation.spreadsheet import writable

        writable(csv)
    metrics = find_metrics(metric or (), catalogue(context))
    pairs = pairing.pairs(predicted, truth, pred_axes, truth_axes, partly)
    rivals = pairing.pairs(against, truth, pred_axes, truth_axes, partly) if against else []
    with pool(min(workers, len(pairs))) as run, counted(run, len(pairs) + len(rivals)) as seen:
        found = evaluation.evaluate(pairs, metrics, against=rivals, samples=samples, seed=seed, run=seen)
    document = found.to_json() if output or as_json else {}
    if output:
        _write(output, json.dumps(document, indent=1))
    if csv:
        from toolkit.evaluation.spreadsheet import write_tables

        write_tables(found, csv)
    if html:
        from toolkit.report import page

        _write(html, page(found, pairs, predicted, truth))
    if as_json:
        console.document(document)
    else:
        show(found)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.text(path, text)
