"""Post-processors whose objects are made of foreground voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.postprocessors.components import STEPS
from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.search import Search
from toolkit.values.prediction import Head, Prediction
from toolkit.values.voxels import Voxels


class FromForeground(Gathering):
    """Of a window only its foreground voxels are kept, with probabilities in 1/255. Exact."""

    foreground: Annotated[float, Field(ge=0, lt=1), Search(0.1, 0.9, drifts=True)] = 0.5
    """Voxels with a foreground probability above this belong to objects."""
    min_size: Annotated[int, Field(ge=1), Search(1, 200, log=True, step=1)] = 16
    """Objects of fewer voxels are dropped."""

    def probability(self, prediction: Prediction) -> Any:
        """Of foreground, on the device, `prediction.box.shape`."""
        return prediction["foreground"][0]

    def beside(self, prediction: Prediction) -> Sequence[str]:
        """Heads that are kept beside the probability of foreground."""
        return ()

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Voxels:
        seen = prediction.crop(prediction.core)
        probability = self.probability(seen)
        where = probability > (self.widest("foreground") if loose else self.foreground)
        values = {"foreground": probability[where][:, None], **{n: seen.at(n, where) for n in self.beside(seen)}}
        there = {name: backend.to_numpy(value) for name, value in values.items()}
        found = Voxels.of(backend.to_numpy(where), there, seen.box, seen.shape, seen.voxel_size)
        return found if loose else rounded(found)

    def cut(self, piece: Voxels) -> Voxels:
        return rounded(piece.select(piece["foreground"][:, 0] > self.foreground))

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"foreground": None}, self.kind)


def rounded(voxels: Voxels) -> Voxels:
    """Probabilities, cut to [0, 1], as uint8 in 1/255."""

    def steps(values: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.rint(np.clip(values, 0, 1) * STEPS).astype(np.uint8)

    return voxels.valued({name: steps(values) for name, values in voxels.values.items()})
