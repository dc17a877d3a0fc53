"""Foreground and its rim."""

from typing import Literal

import numpy as np

from toolkit.api import Head, Loss


class SoundLoss(Loss):
    """Cross-entropy of foreground and rim."""

    kind: Literal["sound"] = "sound"

    def heads(self, ndim):
        return Head("foreground", 1, "sigmoid"), Head("boundary", 1, "sigmoid")

    def targets(self, truth):
        from scipy.ndimage import minimum_filter

        inside = truth.covered > 0
        rims = np.zeros(truth.shape, bool)
        for layer in truth.layers:
            rims |= (layer > 0) & (minimum_filter(layer, 3) != layer)
        names = {"foreground": inside, "boundary": rims & inside}
        found = {name: target[None].astype(np.float32) for name, target in names.items()}
        return {**found, "known": truth.known[None].copy()}

    def build(self):
        from sound.criterion import Criterion

        return Criterion()
