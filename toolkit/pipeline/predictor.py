"""A network on an image: windows of the anchored lattice in, what it says of each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from toolkit.errors import InputError, OutOfMemory
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import exhausted
from toolkit.pipeline.engines import Engine, built, choose
from toolkit.registry.package import ModelPackage
from toolkit.steps.normalise import Scale
from toolkit.values.image import Image
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box, Lattice, Window

GPU_BATCH = 16


class Predictor:
    """What a model says of the windows of an image, the same for any batches, blocks and workers.

    The network always sees the recipe's windows, so what it says about a voxel depends on the image alone. On the CPU
    it sees one window at a time on one thread, because other numbers round differently.
    """

    def __init__(self, package: ModelPackage, backend: Backend, engine: Engine | None = None) -> None:
        """`engine`: default is that of `auto`."""
        self.recipe = package.recipe
        self.heads = package.heads
        self.backend = backend
        self._takes = package.takes
        self._batch = GPU_BATCH if backend.on_gpu else 1
        self.engine = built(engine or choose("auto", package, backend), package, backend)

    def lattice(self, shape: Sequence[int]) -> Lattice:
        """The windows of an image of `shape`."""
        return self.recipe.lattice(shape)

    def windows(self, image: Image, scale: Scale, windows: Iterable[Window]) -> Iterator[Prediction]:
        """The heads of each window, in their order: lazy, activated where somebody asks, on the device."""
        if self._takes not in (None, image.channels):
            raise InputError(
                f"the model takes {self._takes} channel(s) and this image has {image.channels}",
                image.name,
                "choose with --channel",
            )
        whole = Box.whole(image.shape)
        left = iter(windows)
        while batch := list(islice(left, self._batch)):
            out = self._outputs(image, scale, batch)
            for window, heads in zip(batch, out, strict=True):
                box = window.outer & whole
                inside = box.relative_to(window.outer).slices
                cropped = {name: raw.crop(inside) for name, raw in heads.items()}
                yield Prediction(cropped, box, window.core, image.shape, image.voxel_size)

    def __call__(self, image: Image, scale: Scale, box: Box) -> Prediction:
        """The heads in `box` of `image`; `(channels, *box.shape)` float32 on the device, activations applied."""
        seen = self.windows(image, scale, self.lattice(image.shape).windows(box))
        parts = [part.crop(part.core & box).dense() for part in seen]
        return Prediction.join(parts, box, box, self.backend.xp)

    def _outputs(self, image: Image, scale: Scale, windows: list[Window]) -> list[dict[str, Any]]:
        """Heads of each window; halves the batch when memory runs out, down to one window."""
        voxels = np.stack([scale(image.read_reflected(w.outer)) for w in windows])
        try:
            found: list[dict[str, Any]] = self.engine(voxels)
            return found
        except (RuntimeError, MemoryError) as error:
            if not exhausted(error):
                raise
            if len(windows) == 1:
                raise OutOfMemory(
                    "memory does not suffice for one window",
                    f"window {list(self.recipe.tiling.window)} on {self.backend.device}",
                    "choose --device cpu or a smaller tiling.window",
                ) from error
            self._batch = max(1, len(windows) // 2)
            middle = len(windows) // 2
            return self._outputs(image, scale, windows[:middle]) + self._outputs(image, scale, windows[middle:])
