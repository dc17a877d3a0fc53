"""The engine of methods without a network: what it says of a window is the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend


@dataclass(frozen=True, eq=False)
class Seen:
    """Head `image` of a window, `(C, *S)` on the device."""

    voxels: Any

    def everywhere(self) -> Any:
        return self.voxels

    def at(self, mask: Any) -> Any:
        return self.voxels[:, mask].T

    def crop(self, slices: tuple[slice, ...]) -> Seen:
        return Seen(self.voxels[(slice(None), *slices)])


class ImageEngine:
    """`engine(voxels) -> [{"image": Seen}, …]`, one for each window of `voxels` `(B, C, *window)`. Needs no torch."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, voxels: NDArray[np.float32]) -> list[dict[str, Seen]]:
        return [{"image": Seen(self._backend.asarray(window))} for window in voxels]
