"""One loop for every method: when a training is scored, stored and timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from toolkit.plugins.phases import OWN, Phase
from toolkit.training.checkpoint import Progress
from toolkit.training.data import Batch
from toolkit.training.minutes import BATCH, Few, affordable, apart, fewer
from toolkit.training.training import Training
from toolkit.training.validate import Validation

TIMED = 20
"""Steps of a phase after which minutes are turned into a number of steps; the pace is that of the latter half."""
PARTS = 20
"""A checkpoint is kept after each of so many parts of the training, but not more often than validations may be."""


@dataclass(frozen=True)
class Report:
    """What the caller may show after each step."""

    progress: Progress
    loss: float
    score: float | None
    metric: str
    """What the score is a value of."""


def loop(
    training: Training,
    validation: Validation,
    feed: Callable[[int], tuple[Batch, ...]],
    tell: Callable[[Report], None] = lambda _: None,
    every: int | None = None,
) -> Progress:
    """Take a training to its end; its run then holds the best weights, the last state, the log and its picture.

    Validation runs every `every` steps of a phase (default: as often as `training.validations` says, at least 50 steps
    apart) and at the end of each. Where minutes are given, what steps and validation cost is known after `TIMED` steps
    of a phase; where that makes too few steps, `Few` is raised with what to do, once, and the training goes on from a
    checkpoint. One is kept then, with each validation and after each twentieth of the training.
    """
    run, phases, clock = training.run, training.phases, training.clock
    log = run.log(training.progress.step)
    ticks, entered = [clock()], training.elapsed()
    while not training.progress.done:
        number, done = training.progress.table.at(training.progress.step)
        if not done:
            ticks, entered = [clock()], training.elapsed()
        terms = training.step(feed(training.progress.step))
        ticks = [*ticks[-(TIMED // 2) :], clock()]
        done, steps = done + 1, training.progress.table.steps[number]
        times = validations(phases, number, run.recipe.training.validations)
        fresh = len(ticks) > TIMED // 2
        timed = number >= training.progress.table.known and (done == steps or (done >= TIMED and fresh))
        if timed:
            pace, image = median(np.diff(ticks).tolist()), training.price(validation) if times else 0.0
            left = _left(training, number, entered)
            more, images = affordable(left, pace, image, times, len(validation.items))
            batch = fewer(done + more, run.recipe.training.batch, phases[number].share / sum(p.share for p in phases))
            free = not number and not run.about.get("smaller") and BATCH not in (run.about.get("held") or ())
            if free and batch < run.recipe.training.batch:
                log.add(_row(training, terms, None))
                training.store()
                raise Few(done + more, batch)
            training.plan(done + more, images)
            steps = done + more
        tested = done == steps or done % (every or apart(steps, times)) == 0
        score = training.validate(validation) if tested and times else None
        log.add(_row(training, terms, score))
        planned = number < training.progress.table.known
        if score is not None:
            run.draw(validation.metric)  # before it is stored: what is done is not drawn again
        if planned and (timed or tested or training.progress.step % apart(training.progress.steps, PARTS) == 0):
            training.store()
        tell(Report(training.progress, sum(terms.values()), score, validation.metric))
    return training.progress


def validations(phases: Sequence[Phase], number: int, wanted: int) -> int:
    """How many of the validations of a training are in a phase: none where the recipe's network learns nothing."""
    shares = [phase.share * (OWN in phase.learns) for phase in phases]
    return max(1, round(wanted * shares[number] / sum(shares))) if shares[number] else 0


def _left(training: Training, number: int, entered: float) -> float:
    """Seconds that are left for a phase, which began after `entered` seconds: its share of what was left then."""
    shares = [phase.share for phase in training.phases[number:]]
    own = (60 * (training.progress.minutes or 0) - entered) * shares[0] / sum(shares)
    return entered + own - training.elapsed()


def _row(training: Training, terms: dict[str, float], score: float | None) -> dict[str, float | int | str]:
    """A row of the log."""
    now = training.progress
    row: dict[str, float | int | str] = {"step": now.step, "seconds": now.seconds, "learning_rate": training.pace}
    row |= {"loss": sum(terms.values()), **terms}
    row |= {"phase": training.phase.name} if len(training.phases) > 1 else {}
    return row if score is None else row | {"score": score}
