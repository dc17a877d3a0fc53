"""Metrics by name: `S`, `plugin:name`, `S@.5:.1:.9`, and single values such as `S@0.80` to choose or tune by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from toolkit.errors import UsageError
from toolkit.evaluation.bootstrap import POOLED
from toolkit.plugins.catalogue import BUILTIN, Catalogue
from toolkit.plugins.metric import Metric
from toolkit.plugins.refusal import sentence
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

ALL = "all"


def find_metrics(names: Sequence[str], catalogue: Catalogue) -> tuple[Metric, ...]:
    """The metrics with these names; none or `all` means all built-in ones that ask for nothing special.

    `NAME@THRESHOLDS` sets the thresholds of a metric that has them. Raises `UsageError` for a name that is unknown.
    """
    found: dict[Metric, None] = {}
    for name in names or (ALL,):
        if name == ALL:
            found |= dict.fromkeys(cls() for cls in catalogue.use(BUILTIN).items["metrics"].values())
        else:
            found[_metric(name, catalogue)] = None
    return tuple(found)


def find_value(name: str, catalogue: Catalogue) -> tuple[Metric, str]:
    """A metric and the key of the one of its values that `name` means: `S@0.80`, `avS@.5:.05:.95`, `PQ`, `AP_coco`.

    The key is as in `Metric.summarise`, with ` pooled` for a value that has no mean over images. A name without
    thresholds is that metric's first value. Raises `UsageError` if there is none.
    """
    for metric in find_metrics((), catalogue):
        for key in keys(metric):
            if key.removesuffix(POOLED) == name:
                return metric, key
    metric = _metric(name, catalogue)
    return metric, keys(metric)[0]


def keys(metric: Metric) -> tuple[str, ...]:
    """Its values; of a value with mean and pooled form only the mean."""
    nothing = metric.count(Truth.from_layers(np.zeros((1, 2, 2), np.int32)), Instances.empty((2, 2)))
    every = metric.summarise([nothing])
    return tuple(key for key in every if not (key.endswith(POOLED) and key.removesuffix(POOLED) in every))


def _metric(name: str, catalogue: Catalogue) -> Metric:
    kind, at, thresholds = name.partition("@")
    owners = {f"av{k}": k for k in catalogue.use(BUILTIN).items["metrics"]}
    cls: type[Metric] = catalogue.find("metrics", owners.get(kind, kind))
    if not at:
        return cls.model_validate({})
    if "thresholds" not in cls.model_fields:
        raise UsageError("this metric has no thresholds", name, f"write {kind}")
    try:
        return cls.model_validate({"thresholds": thresholds.split(",")})
    except ValidationError as error:
        reason = sentence(error.errors())
        raise UsageError(
            f"these thresholds cannot be used ({reason})", name, "write for instance S@.5:.05:.95"
        ) from error
