"""The score by which the best weights are chosen: that of instances, never that of a loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from toolkit.evaluation.named import find_value
from toolkit.gpu.backend import Backend
from toolkit.io import Dataset
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.segment import Scene, assemble
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.sections import VALUES, Validate
from toolkit.plugins.specs import Counts, PostProcessor
from toolkit.registry.package import ModelPackage
from toolkit.steps.normalise import Scale
from toolkit.training.data import reading
from toolkit.values.image import Image
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box

TRIED = 2
"""So many fields of a post-processor are tried at values beside that of the recipe."""
PART = 0.25
"""How far beside, as a part of the range of the field."""
KEPT_BYTES = 2 * 2**30
"""Predictions of an image beyond this are made anew for each setting."""


class Validation:
    """Mean over images of S at IoU .5, or of detection AP (METHODS §5), on at most `limit` images, evenly spread over
    the split.

    What a network says of the same voxel drifts while it trains, so fixed thresholds would choose weights that suit the
    thresholds. Where the post-processor declares that a field drifts, the score is the best over that field's value
    and its neighbours (`settings`), the same for all images.
    """

    def __init__(self, data: Dataset, limit: int = 24, by: Validate = "S") -> None:
        step = max(1, -(-len(data.items) // limit))
        self.data = data
        self.items = data.items[::step]
        self._measure, self.metric = find_value(VALUES[by], Catalogue(allow=()))

    def score(self, model: ModelPackage, backend: Backend) -> tuple[float, dict[str, Any]]:
        """The best mean over the settings, and what fields it was reached with that are not the recipe's."""
        tried = settings(model.recipe.postprocess)
        predictor = Recalling(model, backend)
        counts: list[list[Counts]] = [[] for _ in tried]
        for item in self.items:
            with reading(item):
                scene, truth = Scene.of(self.data.image(item), predictor), self.data.truth(item)
            for known, postprocess in zip(counts, tried, strict=True):
                known.append(self._measure.count(truth, assemble(replace(scene, postprocess=postprocess))))
            predictor.forget()
        values = [self._measure.summarise(known)[self.metric] for known in counts]
        best = max(values)
        plain, own = (p.model_dump(mode="json") for p in (tried[values.index(best)], tried[0]))
        return best, {name: value for name, value in plain.items() if value != own[name]}


def settings(postprocess: PostProcessor) -> list[PostProcessor]:
    """The post-processor itself, then with each of its first drifting fields somewhat lower and higher."""
    found = [postprocess]
    fields = [(name, how) for name, how in type(postprocess).tunable().items() if how.drifts]
    for name, how in fields[:TRIED]:
        value, step = getattr(postprocess, name), PART * (how.high - how.low)
        found += _valid(postprocess, name, {max(how.low, value - step), min(how.high, value + step)} - {value})
    return found


def _valid(postprocess: PostProcessor, name: str, values: Iterable[float]) -> list[PostProcessor]:
    """The settings among these that the post-processor may have."""
    found = []
    for value in sorted(values):
        try:
            found.append(type(postprocess).model_validate({**postprocess.model_dump(), name: value}))
        except ValidationError:
            continue
    return found


class Recalling(Predictor):
    """A predictor that recalls what it said of the boxes of one image."""

    def __init__(self, package: ModelPackage, backend: Backend) -> None:
        super().__init__(package, backend)
        self._said: dict[Box, Prediction] = {}
        self._bytes = 0

    def __call__(self, image: Image, scale: Scale, box: Box) -> Prediction:
        if box in self._said:
            return self._said[box]
        said = super().__call__(image, scale, box)
        size = sum(_bytes(head) for head in said.heads.values())
        if self._bytes + size <= KEPT_BYTES:
            self._said[box] = said
            self._bytes += size
        return said

    def forget(self) -> None:
        """Make room for another image."""
        self._said.clear()
        self._bytes = 0


def _bytes(head: Any) -> int:
    return int(head.nbytes)
