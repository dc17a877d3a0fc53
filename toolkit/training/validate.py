"""The score by which the best weights are chosen: that of instances, never that of a loss."""

from __future__ import annotations

from toolkit import normalise
from toolkit.gpu.backend import Backend
from toolkit.io import Dataset
from toolkit.matching import compare
from toolkit.pipeline import Scene, assemble, prepare
from toolkit.predictor import Predictor
from toolkit.registry.package import ModelPackage


class Validation:
    """Mean over images of S at IoU .5 (METHODS §5) on at most `limit` images, evenly spread over the split."""

    metric = "S@0.50"

    def __init__(self, data: Dataset, limit: int = 24) -> None:
        step = max(1, -(-len(data.items) // limit))
        self.data = data
        self.items = data.items[::step]

    def score(self, model: ModelPackage, backend: Backend) -> float:
        """Mean S@.5; 0 if there is no image to validate on."""
        predictor = Predictor(model, backend)
        total = 0.0
        for item in self.items:
            image = prepare(self.data.image(item), model.recipe)
            scene = Scene(image, normalise.fit(image, model.recipe.normalise), predictor, model.recipe.postprocess)
            found = compare(self.data.truth(item), assemble(scene))
            match = found.match(50)
            total += 1.0 if found.nothing else match.tp / max(1, match.tp + match.fp + match.fn)
        return total / max(1, len(self.items))
