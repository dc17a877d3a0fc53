"""Objects as connected components of the foreground."""

from __future__ import annotations

from typing import Literal

import numpy as np

from toolkit.builtin.postprocessors.foreground import Foreground
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.gpu.backend import Backend
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction


class Threshold(FromForeground):
    """Connected components (over faces) of head `foreground` above a threshold; touching objects become one. Exact.

    An object's score is its mean foreground probability.
    """

    kind: Literal["threshold"] = "threshold"

    def gather(self, prediction: Prediction, backend: Backend) -> Foreground:
        return Foreground.of(prediction, prediction["foreground"][0] > self.foreground, ["foreground"], backend)

    def divide(self, foreground: Foreground) -> Instances:
        label = np.repeat(foreground.component + 1, foreground.length)
        return foreground.instances(label, self.min_size, "foreground")
