"""The score by which the best weights are chosen: that of instances, never that of a loss."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from toolkit.evaluation.named import find_value
from toolkit.gpu.backend import Backend
from toolkit.io import Dataset
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.metric import Counts
from toolkit.plugins.sections import VALUES, Validate
from toolkit.plugins.specs import PostProcessor
from toolkit.registry.package import ModelPackage
from toolkit.training.data import reading

TRIED = 2
"""So many fields of a post-processor are tried at values beside that of the recipe."""
PART = 0.25
"""How far beside, as a part of the range of the field."""


class Validation:
    """Mean over images of S at IoU .5, or of AP_det (docs/auxiliary.md), on at most `limit` images, evenly spread over
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

    @cached_property
    def blind(self) -> bool:
        """Whether none of the images has an object, so that no score tells good weights from bad ones."""
        for item in self.items:
            with reading(item):
                if (self.data.truth(item).layers > 0).any():
                    return False
        return True

    def score(self, model: ModelPackage, backend: Backend, images: int | None = None) -> tuple[float, dict[str, Any]]:
        """The best mean over the settings, and what fields it was reached with that are not the recipe's; on `images`
        of the images, evenly spread, or on all."""
        tried = settings(model.recipe.postprocess)
        session = Session(model, backend, Catalogue(allow=()))
        counts: list[list[Counts]] = [[] for _ in tried]
        many = min(images or len(self.items), len(self.items))
        for item in (self.items[at * len(self.items) // many] for at in range(many)):
            with reading(item):
                image, truth = session.prepare(self.data.image(item)), self.data.truth(item)
            pieces = session.pieces(image, loose=True)
            for known, postprocess in zip(counts, tried, strict=True):
                known.append(self._measure.count(truth, session.objects(pieces, postprocess)))
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
