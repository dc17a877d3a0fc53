"""A model and an image in a viewer: predicted once, objects anew for every position of a slider."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.pipeline.heard import listening
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.session import Session
from toolkit.pipeline.sized import rescaling
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.choose import lent
from toolkit.steps.sizes import Diameter
from toolkit.values.image import Image
from toolkit.values.instances import Instances


class Cancelled(Exception):
    """Somebody does not want to wait any longer."""


def models() -> list[str]:
    """Names of all models that run without adding anything."""
    return list(resolve.known(Catalogue()))


def image_of(data: Any, rgb: bool, scale: NDArray[Any], name: str) -> Image:
    """The image of a layer: `(Z)YX`, or `(Z)YXC` where it is `rgb`; `scale` in µm, 1 if nobody said so."""
    array = np.asarray(data)
    space = array.ndim - rgb
    if space not in (2, 3):
        raise InputError(f"this layer has {space} axes", name, "a model sees YX or ZYX; seg run does time series")
    size = tuple(float(s) for s in np.asarray(scale)[-space:])
    axes = "ZYX"[-space:] + "C" * rgb
    return io.of_array(array, axes, None if all(s == 1 for s in size) else size)[0]


class Segmenting:
    """`predict`, then `objects` for any values of the fields of `session.model.recipe.postprocess`."""

    def __init__(self, model: str, image: Image, device: str = "auto") -> None:
        catalogue = Catalogue()
        loaded, _ = lent(resolve.load(model, catalogue), image, catalogue)
        self.model, self.image = model, image
        self.session = Session(loaded, device, catalogue)
        self._pieces: Pieces | None = None

    def predict(self, hear: Callable[[str, int, int], None] = lambda *_: None) -> None:
        """Run the network; `hear` is told how far it is, and may raise `Cancelled`."""
        with listening(hear):
            _, seen = rescaling(self.session, self.image, Diameter.parse("auto"))
            self._pieces = self.session.pieces(seen, loose=True)

    def objects(self, values: Mapping[str, Any] = {}) -> Instances:
        """The objects with these values of fields; what is not named is as the recipe says."""
        assert self._pieces is not None, "predict first"
        return self.session.objects(self._pieces, self.changes(values))

    def changes(self, values: Mapping[str, Any]) -> list[str]:
        """The values that are not those of the recipe, as `--set` takes them."""
        own = self.session.model.recipe.postprocess
        return [f"postprocess.{n}={v}" for n, v in values.items() if v != getattr(own, n)]

    def command(self, path: str | None, values: Mapping[str, Any]) -> str:
        """The command that gives the same objects."""
        words = ["seg", "run", path or "IMAGE", "--model", self.model]
        return shlex.join([*words, *(word for change in self.changes(values) for word in ("--set", change))])
