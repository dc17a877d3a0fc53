"""Judge predictions against truth: counts of each image, means, pooled values, intervals, paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.evaluation.attribution import Fates, attribute
from toolkit.evaluation.bootstrap import POOLED, draw, interval, resample
from toolkit.evaluation.pieces import doubt
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import compare
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """One image: its truth and its prediction, given or loaded when they are needed (picklable for processes).

    `image` loads the image itself, for pictures.
    """

    name: str
    truth: Truth | Callable[[], Truth]
    predicted: Instances | Callable[[], Instances]
    image: Callable[[], Image] | None = None

    def load(self) -> tuple[Truth, Instances]:
        """Both; raises `InputError` if their shapes differ."""
        truth = self.truth if isinstance(self.truth, Truth) else self.truth()
        predicted = self.predicted if isinstance(self.predicted, Instances) else self.predicted()
        if truth.shape != predicted.shape:
            raise InputError(
                "prediction and truth differ in shape",
                f"{self.name}: {predicted.shape} and {truth.shape}",
                "evaluate the prediction of this very image; see --pred-axes and --truth-axes",
            )
        return truth, predicted


@dataclass(frozen=True, eq=False)
class Judged:
    """One image, judged: the counts of each metric, and the fate of each true and predicted object; `doubt` is why its
    truth may be none, or nothing."""

    name: str
    counts: tuple[Counts, ...]
    nothing: bool
    shape: tuple[int, ...]
    true: Fates
    predicted: Fates
    doubt: str = ""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of some images against their truth.

    `summary` maps each value to `mean` (over the images where it is defined), `pooled` (over objects), `images` (how
    many defined it), `interval` (95 % percentile bootstrap over images; of the mean, or of the pooled value where a
    metric has no mean) and `pooled_interval`; with another prediction, also `other` and `difference` (this minus the
    other, same images drawn) of the same form. Undefined values are None.
    """

    metrics: tuple[Metric, ...]
    images: tuple[Judged, ...]
    summary: dict[str, dict[str, Any]]
    other: tuple[Judged, ...] = ()
    samples: int = 0
    seed: int = 0
    percent: int = 50
    _values: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def nothing(self) -> tuple[str, ...]:
        """Names of the images with no object in truth and prediction; S counts them as 1."""
        return tuple(image.name for image in self.images if image.nothing)

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the truth of some images may be none, a sentence each."""
        return tuple(f"the truth of {image.name} {image.doubt}" for image in self.images if image.doubt)

    def values(self, key: str) -> Floats:
        """One value of each image, NaN where it is undefined."""
        return self._values[key]

    def worst(self, key: str) -> list[int]:
        """Indices of the images from worst to best by one value, those where it is undefined last."""
        down = any(key in metric.lower_is_better for metric in self.metrics)
        rank = np.where(np.isnan(self._values[key]), np.inf, self._values[key] * (-1 if down else 1))
        wrong = [image.true.errors + image.predicted.errors for image in self.images]
        return [int(k) for k in np.lexsort((-np.array(wrong), rank))]

    @property
    def keys(self) -> tuple[str, ...]:
        """The values that exist for each image."""
        return tuple(self._values)

    def to_json(self) -> dict[str, Any]:
        """Everything but the objects, as plain JSON."""
        images = [
            {"name": image.name, "nothing": image.nothing, **{k: _plain(v[at]) for k, v in self._values.items()}}
            for at, image in enumerate(self.images)
        ]
        metrics = [
            {**metric.model_dump(mode="json"), "counts": [image.counts[at] for image in self.images]}
            for at, metric in enumerate(self.metrics)
        ]
        return {
            "summary": self.summary,
            "images": images,
            "empty_images": list(self.nothing),
            "notes": list(self.notes),
            "metrics": metrics,
            "bootstrap": {"samples": self.samples, "seed": self.seed, "level": 0.95},
        }


def evaluate(
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    *,
    against: Sequence[Pair] = (),
    samples: int = 1000,
    seed: int = 0,
    percent: int = 50,
    run: Map = serial,
) -> Evaluation:
    """Judge `pairs` by `metrics`; `against` are other predictions of the same images in the same order.

    Objects get their fates at IoU ≥ percent/100. `samples` bootstrap samples, 0 for no intervals. `run` maps a function
    over the pairs, for instance in processes. Raises `InputError` for unequal shapes and for no image at all.
    """
    if not pairs:
        raise InputError("there is no image to evaluate", "", "give predictions and truth of at least one image")
    judge = partial(judged, metrics=tuple(metrics), percent=percent)
    images = tuple(run(judge, list(pairs)))
    other = tuple(run(judge, list(against)))
    weights = draw(len(images), samples, seed) if len(images) > 1 and samples else np.zeros((0, len(images)), np.int64)
    summary: dict[str, dict[str, Any]] = {}
    values: dict[str, Floats] = {}
    for at, metric in enumerate(metrics):
        counts = [image.counts[at] for image in images]
        values |= _each(metric, counts)
        mine, drawn = _totals(metric, counts, weights)
        if other:
            rivals = [image.counts[at] for image in other]
            theirs, theirs_drawn = _totals(metric, rivals, weights)
            difference = {key: mine[key] - theirs[key] for key in mine}
            drawn_difference = {key: drawn[key] - theirs_drawn[key] for key in drawn}
        for key in dict.fromkeys(key.removesuffix(POOLED) for key in mine):
            entry = _entry(key, mine, drawn)
            entry["images"] = int((~np.isnan(values[key])).sum()) if key in values else len(images)
            if other:
                entry["other"] = _entry(key, theirs, theirs_drawn)
                entry["difference"] = _entry(key, difference, drawn_difference)
            summary[key] = entry
    return Evaluation(tuple(metrics), images, summary, other, samples, seed, percent, values)


def judged(pair: Pair, metrics: Sequence[Metric], percent: int) -> Judged:
    """Judge one image."""
    truth, predicted = pair.load()
    overlaps = compare(truth, predicted)
    true, seen = attribute(truth, predicted, overlaps, percent)
    counts = tuple(metric.count(truth, predicted) for metric in metrics)
    return Judged(pair.name, counts, overlaps.nothing, truth.shape, true, seen, doubt(truth))


def _each(metric: Metric, counts: Sequence[Counts]) -> dict[str, Floats]:
    single = [metric.summarise([c]) for c in counts]
    return {key: np.array([one[key] for one in single]) for key in single[0] if not key.endswith(POOLED)}


def _totals(
    metric: Metric, counts: Sequence[Counts], weights: NDArray[np.int64]
) -> tuple[dict[str, float], dict[str, Floats]]:
    """The values of all images, and those of each bootstrap sample."""
    return metric.summarise(counts), resample(metric, counts, weights) if len(weights) else {}


def _entry(key: str, totals: dict[str, float], drawn: dict[str, Floats]) -> dict[str, Any]:
    mean, pooled = (interval(drawn[k]) if k in drawn else None for k in (key, key + POOLED))
    return {
        "mean": _plain(totals.get(key)),
        "pooled": _plain(totals.get(key + POOLED)),
        "interval": mean if key in totals else pooled,
        "pooled_interval": pooled,
    }


def _plain(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
