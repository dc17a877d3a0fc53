"""`seg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue

STAIN = ("input.channels=haematoxylin",)
CHANGES = {"embedseg": (*STAIN, "postprocess.seed=0.6")}
"""What the image needs, by method."""


def demo(
    context: typer.Context,
    plugin: Annotated[str, typer.Option(help="The method; its shipped model is run.")] = "embedseg",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results.")] = Path("demo.seg"),
    as_json: console.Json = False,
) -> None:
    """Run a shipped model on a real tissue image that comes with scikit-image (immunohistochemistry of colon).

    The network sees the haematoxylin stain, which marks the nuclei. The image has a second, brown stain that no
    training image had, so seeds are taken that the model is less sure of.

    Example: seg demo
    """
    from importlib.util import find_spec

    from toolkit.cli.runner import execute
    from toolkit.cli.wish import Wish

    spec = find_spec("skimage")
    assert spec is not None, "scikit-image is a dependency"
    assert spec.origin is not None, "scikit-image is a package"
    image = Path(spec.origin).parent / "data" / "ihc.png"
    wish = Wish((str(image),), plugin=plugin, out=out, changes=CHANGES.get(plugin, STAIN), overwrite=True)
    execute(wish, catalogue(context), as_json)
    if not as_json:
        console.results().print(f"look   {(out / 'ihc.overlay.png').resolve()}", markup=False)
