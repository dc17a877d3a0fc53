"""What a network says about a piece of an image: named heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.values.tiles import Box

Activation = Literal["none", "sigmoid", "softmax", "tanh"]
Transform = Literal["scalar", "vector", "extent", "patch", "affinity"]


@dataclass(frozen=True)
class Head:
    """A named output of a network.

    The predictor applies `activation` after test-time augmentation has averaged the raw outputs. `transform` says
    how the channels turn when the image is flipped or rotated: `scalar` channels stay; `vector` has one channel per
    spatial axis in `(Z)YX` order, and so has `extent`, whose channels change places but never sign; `patch` has one
    channel per offset of an odd-sized box `patch`, in C order; `affinity` has one channel per offset in `offsets`.
    """

    name: str
    channels: int
    activation: Activation = "none"
    transform: Transform = "scalar"
    patch: tuple[int, ...] | None = None
    offsets: tuple[tuple[int, ...], ...] | None = None
    initial: float | None = field(default=None, compare=False)
    """Raw output of an untrained network everywhere; None leaves it to chance. Trained heads are equal without it."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The heads of one block with its halo, on the device.

    `heads[name]` has shape `(C, *box.shape)` and dtype float32. `core` is the part of `box` that the block answers for;
    both are in image coordinates. `shape` is the shape of the whole image, `voxel_size` is in micrometres per axis.
    """

    heads: dict[str, Any]
    box: Box
    core: Box
    shape: tuple[int, ...]
    voxel_size: tuple[float, ...] = field(default=())

    def __getitem__(self, head: str) -> Any:
        return self.heads[head]

    @property
    def ndim(self) -> int:
        return self.box.ndim

    def crop(self, box: Box) -> Prediction:
        """The same prediction restricted to `box`, which lies inside `self.box`."""
        slices = (slice(None), *box.relative_to(self.box).slices)
        heads = {name: head[slices] for name, head in self.heads.items()}
        return Prediction(heads, box, box & self.core, self.shape, self.voxel_size)
