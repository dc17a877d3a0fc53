"""`seg models test`."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def reproduce(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An installed model or a package.")],
    as_json: console.Json = False,
) -> None:
    """Run a model on the test input that it brings and compare with the output that it promises.

    Models that this toolkit exported also have to give the same instances again.

    Example: seg models test nuclei.zip
    """
    from dataclasses import asdict

    from toolkit.errors import ModelError
    from toolkit.pipeline.segment import segment
    from toolkit.registry.verify import verify

    with console.progress().status(f"running {name} on its test input"):
        found = verify(name, catalogue(context), segment)
    if as_json:
        console.document([asdict(result) for result in found])
    else:
        for result in found:
            verdict = "passed" if result.passed else "FAILED"
            console.results().print(f"{verdict}  {result.what}: {result.detail}", markup=False)
    failed = [result.what for result in found if not result.passed]
    if failed:
        raise ModelError("the model does not reproduce its own test", f"{name}: {', '.join(failed)}",
                         "get it again, or ask its author")  # fmt: skip
