"""The straight line for one image: read → normalise → predict → keep → assemble. Writing follows in `running`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.values.image import Image
from toolkit.values.instances import Instances


def segment(
    image: Image | Any,
    model: ModelPackage | str,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    engine: str = "auto",
    block: int | None = None,
    catalogue: Catalogue | None = None,
) -> Instances:
    """Instances of one image.

    `image`: an `Image`, a path, or an array `(Z)YX` or `C(Z)YX` (then say so with `Image.from_array`). `model`: a
    loaded package, or the name or path of one. `changes`: `"section.field=value"`. `engine`: auto, torch
    or onnxruntime. `block`: voxels per axis of the pieces that are worked on, rounded up to whole window cores; the
    result does not depend on it.
    """
    catalogue = catalogue or Catalogue()
    loaded = resolve.load(model, catalogue) if isinstance(model, str) else model
    loaded = loaded.with_recipe(loaded.recipe.changed(changes, catalogue, loaded.owner)) if changes else loaded
    if isinstance(image, str | Path):
        image = io.read(Path(image))
    elif not isinstance(image, Image):
        image = Image.from_array(image)
    session = Session(loaded, device, catalogue, engine)
    pieces = session.pieces(session.prepare(image))
    return session.objects(pieces, loaded.recipe.postprocess, block)
