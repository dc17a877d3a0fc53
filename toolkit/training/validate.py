"""The score by which the best weights are chosen: that of instances, never that of a loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

PART = 0.25
"""How far beside its value a field is tried, as a part of its range."""


class Validation:
    """Mean over images of S at IoU .5, or of AP_det (docs/auxiliary.md), on at most `limit` images, evenly spread over
    the split.

    What a network says of the same voxel drifts while it trains, so fixed thresholds would choose weights that suit the
    thresholds. Where the post-processor declares that fields drift, the score is the best over the best setting so far
    and its neighbours on one of these fields, the next one each time (`settings`), the same for all images.
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

    def score(
        self,
        model: ModelPackage,
        backend: Backend,
        images: int | None = None,
        best: Mapping[str, Any] | None = None,
        turn: int = 0,
    ) -> tuple[float, dict[str, Any]]:
        """The best mean over the settings, and what fields it was reached with that are not the recipe's; on `images`
        of the images, evenly spread, or on all. `best`: such fields of the best setting so far, `turn`: how many
        validations there were."""
        own = model.recipe.postprocess
        tried = settings(type(own).model_validate({**own.model_dump(), **(best or {})}), turn)
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
        found = max(values)
        plain, before = (p.model_dump(mode="json") for p in (tried[values.index(found)], own))
        return found, {name: value for name, value in plain.items() if value != before[name]}


def settings(postprocess: PostProcessor, turn: int = 0) -> list[PostProcessor]:
    """The post-processor itself, then with one of its drifting fields, which take turns, somewhat lower and higher."""
    fields = [(name, how) for name, how in type(postprocess).tunable().items() if how.drifts]
    if not fields:
        return [postprocess]
    name, how = fields[turn % len(fields)]
    value, step = getattr(postprocess, name), PART * (how.high - how.low)
    beside = {max(how.low, value - step), min(how.high, value + step)} - {value}
    return [postprocess, *_valid(postprocess, name, beside)]


def _valid(postprocess: PostProcessor, name: str, values: Iterable[float]) -> list[PostProcessor]:
    """The settings among these that the post-processor may have."""
    found = []
    for value in sorted(values):
        try:
            found.append(type(postprocess).model_validate({**postprocess.model_dump(), name: value}))
        except ValidationError:
            continue
    return found
