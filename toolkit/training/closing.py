"""The end of a training: the post-processor is tuned on all of `val`, and what it reaches there is the score."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace

from toolkit.gpu.backend import Backend
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.sections import VALUES
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.training.checkpoint import Progress
from toolkit.training.minutes import BATCH
from toolkit.training.run import Run
from toolkit.tune import Tell, kept, measure, tune
from toolkit.tune.rehearsed import rehearse
from toolkit.tune.tuned import change

TRIALS = 60
"""Settings at most; fewer where there is no time for them."""
PART, LEAST = 0.23, 5.0
"""Of the seconds that the training took, so that all of it is a quarter; and seconds that there are in any case."""


@dataclass(frozen=True)
class Score:
    """What `seg run` and `seg evaluate` give of the model on the images that the training was scored by."""

    metric: str
    value: float | None
    images: int
    changes: tuple[str, ...]
    """What was found in `settings` settings and is in the recipe now: `postprocess.field=value`."""
    settings: int
    seconds: float
    postprocess: dict[str, object]
    before: float | None = None
    """The same of the model that the training began with, where it began with all its weights."""
    kept: bool = False
    """Whether the run holds that model, because the trained one is worse."""


class Watch:
    """Says when there is no time for another setting: it would take as long as the others did on average."""

    def __init__(self, clock: Callable[[], float], seconds: float, tell: Tell) -> None:
        self._clock, self._end, self._tell = clock, clock() + seconds, tell
        self._began, self._pace = clock(), 0.0

    def tell(self, what: str, done: int, total: int, best: float | None) -> None:
        """Pass on what a tuning tells, and learn from it how long a setting takes."""
        if what == "predict":
            self._began = self._clock()
        else:
            self._pace = (self._clock() - self._began) / done
        self._tell(what, done, total, best)

    def late(self) -> bool:
        return self._clock() + self._pace > self._end


def close(
    run: Run,
    progress: Progress,
    data: str,
    catalogue: Catalogue,
    backend: Backend,
    clock: Callable[[], float] = time.monotonic,
    tell: Tell = lambda *_: None,
) -> Score | None:
    """Tune the best weights of a run on `data` (`DIR:SPLIT`), beginning where validation was best, and keep the setting
    in its recipe; fields that were set when the run was begun stay. None of a training that only prepares another.
    Where a training that began with all weights of a model has made it worse, the run holds that model in the end.

    It takes a quarter of the seconds of the training at most, but one setting is always scored; where some images show
    that there is no time for a second one, nothing is kept for it.
    """
    if progress.best < 0:
        return None
    known = run.about.get("closing")
    model = resolve.load(str(run.folder), catalogue, run.about.get("owner"))
    before, held = model.recipe.plain()["postprocess"], [name for name in run.about.get("held") or () if name != BATCH]
    if known:
        score = Score(**{**known, "changes": tuple(known["changes"])})
        return score if score.postprocess == before else None
    start = [change(name, value) for name, value in progress.setting.items() if name not in held]
    model = model.with_recipe(model.recipe.changed(start, catalogue, model.owner))
    declared = type(model.recipe.postprocess).tunable()
    free = sorted(declared.keys() - {*held}, key=lambda name: (not declared[name].drifts, [*declared].index(name)))
    metric, seconds = VALUES[model.recipe.training.validate_], max(LEAST, PART * progress.seconds)
    began, watch = clock(), Watch(clock, seconds, tell)
    cost = rehearse(model, data, metric, backend, clock)
    trials = TRIALS if clock() - began + cost.first + cost.other <= seconds else 1
    found = tune(model, data, catalogue, metric=metric, trials=trials, backend=backend,
                 space={name: declared[name] for name in free}, tell=watch.tell, late=watch.late)  # fmt: skip
    after = found.recipe.plain()["postprocess"]
    changes = tuple(change(name, value) for name, value in after.items() if value != before[name])
    score = Score(found.metric, found.after, found.images, changes, len(found.trials), clock() - began, after)
    if run.tuning is not None:
        own = _beginning(run, run.tuning, held)
        score = replace(score, before=measure(own, data, catalogue, found.metric, backend), seconds=clock() - began)
        if score.before is not None and score.before > (score.value or 0.0):
            run.restore(own.recipe)
            plain = own.recipe.plain()["postprocess"]
            score = replace(score, value=score.before, changes=(), settings=1, postprocess=plain, kept=True)
            run.note(closing=asdict(score))
            return score
    if changes or found.bits != model.recipe.tiling.precision:
        kept.keep(found, run.folder)
    run.note(closing=asdict(score))
    return score


def _beginning(run: Run, model: ModelPackage, held: Collection[str]) -> ModelPackage:
    """The model as it is run on these images without the training: its own thresholds, but for those that were set."""
    own, now = model.recipe, run.recipe
    fields = {name: getattr(now.postprocess, name) for name in held}
    postprocess = type(own.postprocess).model_validate({**own.postprocess.model_dump(), **fields})
    return replace(model, recipe=own.model_copy(update={"input": now.input, "postprocess": postprocess}))
