"""A network on an image: windows of the anchored lattice in, heads of a box out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, OutOfMemory
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import exhausted
from toolkit.registry.package import ModelPackage
from toolkit.steps.normalise import Scale
from toolkit.steps.turns import turns
from toolkit.values.image import Image
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Box, Lattice, Window

if TYPE_CHECKING:
    import torch

GPU_BATCH = 16


class Predictor:
    """`predictor(image, scale, box) -> Prediction`, the same for any boxes, batches and workers.

    The network always sees the recipe's windows, so what it says about a voxel depends on the image alone. On the CPU
    it sees one window at a time on one thread, because other numbers round differently.
    """

    def __init__(self, package: ModelPackage, backend: Backend) -> None:
        self.recipe = package.recipe
        self.heads = package.heads
        self.backend = backend
        self._takes = package.takes
        self._module = package.build().to(backend.device)
        self._batch = GPU_BATCH if backend.on_gpu else 1
        every = turns(self.recipe.tiling.window, self.heads)
        self._turns = every[:1] if self.recipe.tiling.augment == "none" else every
        self._after = self.recipe.tiling.augment == "turns_after"

    def lattice(self, shape: Sequence[int]) -> Lattice:
        """The windows of an image of `shape`."""
        return Lattice(tuple(shape), self.recipe.tiling.window, self.recipe.tiling.overlaps)

    def __call__(self, image: Image, scale: Scale, box: Box) -> Prediction:
        """The heads in `box` of `image`; `(channels, *box.shape)` float32 on the device, activations applied."""
        if self._takes not in (None, image.channels):
            raise InputError(
                f"the model takes {self._takes} channel(s) and this image has {image.channels}",
                image.name,
                "choose with --channel",
            )
        xp = self.backend.xp
        heads = {head.name: xp.zeros((head.channels, *box.shape), xp.float32) for head in self.heads}
        windows = self.lattice(image.shape).windows(box)
        with one_thread():
            while batch := list(islice(windows, self._batch)):
                for window, out in zip(batch, self._outputs(image, scale, batch), strict=True):
                    part = window.core & box
                    here = (slice(None), *part.relative_to(box).slices)
                    there = (slice(None), *part.relative_to(window.outer).slices)
                    for name, head in heads.items():
                        head[here] = self.backend.asarray(out[name])[there]
        return Prediction(heads, box, box, image.shape, image.voxel_size)

    def _outputs(self, image: Image, scale: Scale, windows: list[Window]) -> list[dict[str, torch.Tensor]]:
        """Heads of each window; halves the batch when memory runs out, down to one window."""
        voxels = np.stack([scale(image.read_reflected(w.outer)) for w in windows])
        try:
            return self._run(voxels)
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

    def _run(self, voxels: NDArray[np.float32]) -> list[dict[str, torch.Tensor]]:
        import torch

        with torch.inference_mode():
            window = torch.from_numpy(voxels).to(self.backend.device)
            sums = {head.name: torch.zeros((), device=window.device) for head in self.heads}
            for turn in self._turns:
                raw = self._module(turn.apply(window).contiguous())
                for head in self.heads:
                    said = turn.undo_head(raw[head.name].float(), head)
                    sums[head.name] = sums[head.name] + (activate(said, head) if self._after else said)
            means = {head.name: sums[head.name] / len(self._turns) for head in self.heads}
            out = means if self._after else {head.name: activate(means[head.name], head) for head in self.heads}
        return [{name: maps[i] for name, maps in out.items()} for i in range(len(voxels))]


def activate(raw: torch.Tensor, head: Head) -> Any:
    """The head's activation on raw outputs `(B, C, *S)`."""
    import torch

    match head.activation:
        case "sigmoid":
            return torch.sigmoid(raw)
        case "tanh":
            return torch.tanh(raw)
        case "softmax":
            return torch.softmax(raw, 1)
        case "none":
            return raw


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: two threads round differently from one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
