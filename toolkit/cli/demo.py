"""`seg demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue

STAIN = ("input.channels=haematoxylin",)


@dataclass(frozen=True)
class Picture:
    """What a method is shown on, and how."""

    changes: tuple[str, ...] = STAIN
    model: str | None = None
    crossing: bool = False
    """Generated filaments that cross, instead of the tissue."""


PICTURES = {
    "embedseg": Picture((*STAIN, "postprocess.seed=0.6")),
    "ppp": Picture((), "ppp:ppp-filaments", crossing=True),
}
"""By method; others see the tissue."""


def demo(
    context: typer.Context,
    plugin: Annotated[str, typer.Option(help="The method; its shipped model is run.")] = "embedseg",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results.")] = Path("demo.seg"),
    as_json: console.Json = False,
) -> None:
    """Run a shipped model on a real tissue image that comes with scikit-image (immunohistochemistry of colon), or, for
    `--plugin ppp`, on a generated image of filaments that cross, each of which is found as a whole.

    On the tissue, the network sees the haematoxylin stain, which marks the nuclei. The image has a second, brown stain
    that no training image had, so seeds are taken that the model is less sure of.

    Example: seg demo
    """
    from toolkit.cli.runner import execute
    from toolkit.cli.wish import Wish

    shown = PICTURES.get(plugin, Picture())
    image = _filaments(out.with_suffix(".tif")) if shown.crossing else _tissue()
    wish = Wish((str(image),), plugin=plugin, model=shown.model, out=out, changes=shown.changes, overwrite=True)
    execute(wish, catalogue(context), as_json)
    if not as_json:
        console.results().print(f"look   {(out / f'{image.stem}.overlay.png').resolve()}", markup=False)


def _tissue() -> Path:
    from importlib.util import find_spec

    spec = find_spec("skimage")
    assert spec is not None, "scikit-image is a dependency"
    assert spec.origin is not None, "scikit-image is a package"
    return Path(spec.origin).parent / "data" / "ihc.png"


def _filaments(path: Path) -> Path:
    """Draw the image of filaments into `path`."""
    import io

    import tifffile

    from toolkit.demo.filaments import filaments
    from toolkit.errors import StorageError, UsageError
    from toolkit.files import whole

    image, _ = filaments((512, 512), 40, seed=7)
    drawn = io.BytesIO()
    tifffile.imwrite(drawn, image, metadata={"axes": "YX"})
    try:
        whole.replaceable(path)
        if path.exists() and path.read_bytes() != drawn.getvalue():
            raise UsageError("another image has the name of that of the demo", path, "choose another -o")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole.file(path) as made:
            made.write_bytes(drawn.getvalue())
    except OSError as error:
        raise StorageError("cannot write the image of the demo", path, "choose another -o") from error
    return path
