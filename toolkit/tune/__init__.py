"""Search the thresholds of any post-processor on annotated images that are not the test images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from math import inf, isnan
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import ValidationError

from toolkit import io
from toolkit.errors import InputError, UsageError, nearest
from toolkit.evaluation.bootstrap import POOLED, draw, interval, resample
from toolkit.evaluation.named import find_value
from toolkit.gpu.backend import Backend
from toolkit.io.dataset import ALL
from toolkit.pipeline.elsewhere import Model
from toolkit.pipeline.workers import workers
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.metric import Counts
from toolkit.plugins.search import Search
from toolkit.registry.package import ModelPackage
from toolkit.tune.cached import Judge, Work, count, predict
from toolkit.tune.precision import precision
from toolkit.tune.search import Values, key, search
from toolkit.tune.tuned import Trial, Tuned, change

SAMPLES = 1000
"""Bootstrap samples of the interval of the improvement."""
HOLDOUT = "test"
"""A split whose name holds this is never tuned on, unless it is forced."""

Tell = Callable[[str, int, int, float | None], None]
"""Called with what is done ("predict" or "tune"), how much of how much, and the best score so far."""


def choose(where: str, force: bool = False) -> str:
    """The split to tune on: the one named in `DIR:SPLIT`, else `val`.

    Raises `UsageError` for a test split, or for all images of a data set that has one, unless `force`.
    """
    data = io.open_dataset(where)
    if data.split == ALL and not where.endswith(f":{data.split}") and "val" in data.splits:
        return f"{data.root}:val"
    held = [s for s in data.splits if HOLDOUT in s.lower()]
    if not force and (data.split in held or (data.split == ALL and held)):
        raise UsageError(
            "what is tuned on test images can no longer be measured on them",
            where,
            "name another split, such as DIR:val, or say --force",
        )
    return f"{data.root}:{data.split}" if data.split in data.splits else str(data.root)


def tunable(model: ModelPackage, only: Sequence[str] = (), held: Sequence[str] = ()) -> dict[str, Search]:
    """The fields to search: those that the post-processor declares, or the ones in `only`, without those in `held`."""
    post = model.recipe.postprocess
    space = type(post).tunable()
    if not space:
        raise UsageError("this post-processor declares nothing to tune", post.kind, "choose another postprocess.kind")
    for name in only:
        if name not in space:
            raise UsageError(f"{post.kind} declares no such field to tune", name, nearest(name, space))
    chosen = {name: how for name, how in space.items() if name in (only or space) and name not in held}
    if not chosen:
        raise UsageError("every field is held by --set", ", ".join(held), "leave one to be tuned")
    return chosen


def tune(
    model: ModelPackage,
    data: str,
    catalogue: Catalogue,
    *,
    metric: str = "S@0.50",
    space: dict[str, Search] | None = None,
    sampler: str = "coordinates",
    trials: int = 100,
    backend: Backend | None = None,
    processes: int = 1,
    allow: tuple[str, ...] | None = None,
    tell: Tell = lambda *_: None,
    late: Callable[[], bool] | None = None,
) -> Tuned:
    """The best values of `space` (default: all that `tunable` gives) for `metric` on the images of `data`.

    `trials` settings at most are tried, and none once it is `late`, but always that of the recipe. The network runs
    once for each image; what is kept of it lies in a temporary folder, which is removed. Objects are those of a run,
    exactly. Then it is measured whether the best one may run in 16 bits, unless there was time for one setting alone.
    """
    began = time.monotonic()
    measured, name = find_value(metric, catalogue)
    falls = name.removesuffix(POOLED) in measured.lower_is_better
    images = len(_annotated(data))
    space = tunable(model) if space is None else space
    plain = model.recipe.postprocess.model_dump(mode="json")
    start = {field: plain[field] for field in space}
    done: dict[Any, tuple[list[Counts], float | None]] = {}
    order: list[Trial] = []
    with TemporaryDirectory(prefix="seg-tune-") as folder, ExitStack() as stack:
        work = Work(folder, data, Model.of(model, backend or Backend(), allow), metric, trials > 1)
        run = stack.enter_context(workers(processes, partial(Judge, work)))
        for at, _ in enumerate(run(predict, range(images))):
            tell("predict", at + 1, images, None)

        def score(settings: Sequence[Values]) -> list[float]:
            """One sweep over all images and settings, so that no worker waits for the last image of a setting."""
            wanted = [{**plain, **s} for s in settings]
            possible = [w for w in wanted if _possible(model, w)]
            asked = [(w, index) for w in possible for index in range(images)]
            out = []
            judged = run(count, asked)
            for setting, full in zip(settings, wanted, strict=True):
                counts: list[Counts] = [next(judged) for _ in range(images)] if full in possible else []
                found = measured.summarise(counts)[name] if counts else float("nan")
                done[key(setting)] = counts, None if isnan(found) else found
                order.append(Trial(setting, done[key(setting)][1]))
                out.append(-inf if isnan(found) else -found if falls else found)
                known = [s for _, s in done.values() if s is not None]
                tell("tune", len(order), trials, (min if falls else max)(known, default=None))
            return out

        best = search(sampler, space, start, score, trials, late)
    (old, before), (new, after) = done[key(start)], done[key(best)]
    gain: tuple[float, float] | None = None
    if best != start and images > 1 and old:
        weights = draw(images, SAMPLES, 0)
        drawn = [resample(measured, counts, weights)[name] for counts in (new, old)]
        found = interval(np.subtract(*drawn))
        gain = None if found is None else (found[0], found[1])
    changed = model.recipe.changed([change(n, v) for n, v in best.items()], catalogue, model.owner)
    hurried = late is not None and trials == 1
    bits = None if hurried else precision(model.with_recipe(changed), data, catalogue, backend or Backend())
    if bits is not None:
        changed = changed.changed([f"tiling.precision={bits.chosen}"], catalogue, model.owner)
    return Tuned(
        recipe=changed,
        metric=name,
        data=data,
        images=images,
        start=start,
        best=best,
        before=before,
        after=after,
        interval=gain,
        trials=tuple(order),
        sampler=sampler,
        seconds=time.monotonic() - began,
        precision=bits,
    )


def measure(model: ModelPackage, data: str, catalogue: Catalogue, metric: str, backend: Backend) -> float | None:
    """What a run of the model as it is reaches on the images of `data`; None where that is undefined."""
    measured, name = find_value(metric, catalogue)
    plain = model.recipe.postprocess.model_dump(mode="json")
    counts: list[Counts] = []
    with TemporaryDirectory(prefix="seg-tune-") as folder:
        judge = Judge(Work(folder, data, Model.of(model, backend), metric, False))
        for index in range(len(_annotated(data))):
            judge.predict(index)
            counts.append(judge.count((plain, index)))
    found = measured.summarise(counts)[name]
    return None if isnan(found) else found


def _annotated(data: str) -> Sequence[io.Item]:
    items = io.open_dataset(data).items
    if not items:
        raise InputError("there is no image to tune on", data, "name a split that has images")
    bare = [item for item in items if item.mask is None]
    if bare:
        raise InputError("this image has no mask", bare[0].image, "put it into masks/")
    return items


def _possible(model: ModelPackage, plain: dict[str, Any]) -> bool:
    """Whether a post-processor may have these values together."""
    try:
        type(model.recipe.postprocess).model_validate(plain)
    except ValidationError:
        return False
    return True
