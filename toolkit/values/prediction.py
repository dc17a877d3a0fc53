"""What a network says about a piece of an image: named heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from toolkit.values.tiles import Box

Activation = Literal["none", "sigmoid", "softmax", "tanh"]
Transform = Literal["scalar", "vector", "extent", "patch", "affinity", "directions", "none"]


@dataclass(frozen=True)
class Head:
    """A named output of a network.

    The predictor applies `activation` after test-time augmentation has averaged the raw outputs. `transform` says
    how the channels turn when the image is flipped or rotated: `scalar` channels stay; `vector` has one channel per
    spatial axis in `(Z)YX` order, and so has `extent`, whose channels change places but never sign; `patch` has one
    channel per offset of an odd-sized box `patch`, in C order; `affinity` has one channel per offset in `offsets`;
    `directions` has one channel per point in `directions`, which change places as the points do; `none` does not turn.
    """

    name: str
    channels: int
    activation: Activation = "none"
    transform: Transform = "scalar"
    patch: tuple[int, ...] | None = None
    offsets: tuple[tuple[int, ...], ...] | None = None
    directions: tuple[tuple[float, ...], ...] | None = None
    """Points `(Z)YX` around a voxel, such as the ends of rays, that a channel each speaks of."""
    initial: float | None = field(default=None, compare=False)
    """Raw output of an untrained network everywhere; None leaves it to chance. Trained heads are equal without it."""


class Lazy(Protocol):
    """A head that is evaluated and activated only where somebody asks; of a box of some shape `S`."""

    def at(self, mask: Any) -> Any:
        """The head where the device array `mask` `S` is true: `(voxels, channels)` float32, in raster order."""

    def everywhere(self) -> Any:
        """The whole head, `(channels, *S)` float32."""

    def crop(self, slices: tuple[slice, ...]) -> Lazy:
        """The same head on a part of its box."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The heads of one window, or of a block with its halo, on the device.

    `heads[name]` is an array `(C, *box.shape)` float32, or lazy; `prediction[name]` is that array in any case and
    `prediction.at(name, mask)` its values where a mask is true. `core` is the part of `box` that the window or block
    answers for; both are in image coordinates. `shape` is the shape of the whole image, `voxel_size` is in micrometres
    per axis.
    """

    heads: Mapping[str, Any]
    box: Box
    core: Box
    shape: tuple[int, ...]
    voxel_size: tuple[float, ...] = field(default=())

    def __getitem__(self, head: str) -> Any:
        found = self.heads[head]
        return found.everywhere() if hasattr(found, "everywhere") else found

    def __contains__(self, head: str) -> bool:
        return head in self.heads

    def at(self, head: str, mask: Any) -> Any:
        """A head where the device array `mask` `box.shape` is true: `(voxels, C)` in raster order."""
        found = self.heads[head]
        return found.at(mask) if hasattr(found, "everywhere") else found[:, mask].T

    @property
    def ndim(self) -> int:
        return self.box.ndim

    @property
    def nbytes(self) -> int:
        """Bytes of the heads that are arrays."""
        return sum(int(getattr(head, "nbytes", 0)) for head in self.heads.values())

    def crop(self, box: Box) -> Prediction:
        """The same prediction restricted to `box`, which lies inside `self.box`."""
        if box == self.box:
            return self
        slices = box.relative_to(self.box).slices

        def cut(head: Any) -> Any:
            return head.crop(slices) if hasattr(head, "everywhere") else head[(slice(None), *slices)]

        heads = {name: cut(head) for name, head in self.heads.items()}
        return replace(self, heads=heads, box=box, core=box & self.core)

    def dense(self) -> Prediction:
        """The same prediction with every head evaluated."""
        return replace(self, heads={name: self[name] for name in self.heads})

    @classmethod
    def join(cls, parts: Sequence[Prediction], box: Box, core: Box, xp: Any) -> Prediction:
        """The heads in `box`, from parts that lie in it and cover it, arrays of the module `xp`."""
        first = parts[0]
        if len(parts) == 1:
            return replace(first, core=core)
        heads = {n: xp.empty((len(head), *box.shape), xp.float32) for n, head in first.heads.items()}
        for part in parts:
            here = (slice(None), *part.box.relative_to(box).slices)
            for name, head in heads.items():
                head[here] = part.heads[name]
        return cls(heads, box, core, first.shape, first.voxel_size)
