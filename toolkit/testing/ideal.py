"""What a perfect network would say of a scene: found from losses, drawn from the truth, or the image itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.plugins.specs import Loss
from toolkit.testing.blockwise import Heads
from toolkit.testing.descent import descend
from toolkit.testing.scenes import Scene
from toolkit.values.prediction import Head

DRAWN = tuple(Head(name, 1, "sigmoid") for name in ("background", "boundary", "foreground", "image"))
"""Heads that everybody takes for the same: `drawn` knows what they are."""


class Taught:
    """Heads by descent on losses alone, remembered for each scene: descending takes a second, every test wants it."""

    def __init__(self, losses: Sequence[Loss], steps: int = 300) -> None:
        self._losses, self._steps = tuple(losses), steps
        self._ideal: dict[str, Heads] = {}

    def __call__(self, scene: Scene) -> Heads:
        key = f"{scene.shape}{scene.instances.digest}"
        if key not in self._ideal:
            self._ideal[key] = descend(self._losses, scene.truth, self._steps)[0]
        return {name: head.copy() for name, head in self._ideal[key].items()}


def drawn(scene: Scene) -> Heads:
    """`foreground` with a gap where objects touch, `background`, `boundary` of objects, and the `image`, normalised."""
    from scipy.ndimage import maximum_filter, minimum_filter

    inside, boundary = np.zeros(scene.shape, bool), np.zeros(scene.shape, bool)
    for layer in scene.truth.layers:
        lowest = minimum_filter(np.where(layer > 0, layer, layer.max() + 1), 3)
        touching = lowest < maximum_filter(layer, 3)
        inside |= (layer > 0) & ~touching
        boundary |= (layer > 0) & (minimum_filter(layer, 3) != layer)
    voxels = scene.image.read()[:1].astype(np.float32)
    low, high = np.percentile(voxels, (1, 99.8))
    image = (voxels - low) / (high - low)
    found = {"foreground": inside[None], "background": ~inside[None], "boundary": boundary[None], "image": image}
    return {name: head.astype(np.float32) for name, head in found.items()}
