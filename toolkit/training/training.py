"""A training, between two steps: its networks, what moves their weights, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from toolkit.gpu.backend import Backend
from toolkit.plugins.phases import OWN, Phase
from toolkit.training import checkpoint
from toolkit.training.checkpoint import Progress
from toolkit.training.criterion import Criterion
from toolkit.training.data import Batch
from toolkit.training.minutes import PROBED
from toolkit.training.phases import Timetable, checked, settings
from toolkit.training.run import Run
from toolkit.training.step import descend, optimiser, rate, settle
from toolkit.training.team import Team
from toolkit.training.validate import Validation

if TYPE_CHECKING:
    import torch


class Training:
    """`step`, `validate`, `store`: what a loop calls, in this order, until `progress.done`.

    Begins with the recipe's seed, or goes on from the checkpoint of `run` as if it had never stopped. Step n depends
    on the seed, n and the weights before it, and on nothing else. `clock` tells seconds.
    """

    def __init__(
        self,
        run: Run,
        backend: Backend,
        steps: int,
        minutes: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import torch

        torch.set_num_threads(run.threads)
        torch.manual_seed(run.recipe.training.seed)
        self.run, self.backend, self.clock = run, backend, clock
        self.phases = checked(run.recipe)
        before = run.progress() if run.going_on else None
        self.team = Team(run.recipe, backend, run.start, before.half if before else None)
        table = Timetable.of(self.phases, steps, minutes is not None)
        self.progress = before or Progress(0, table, run.threads, self.team.half, minutes=minutes)
        self._number = -1
        if before:
            tensors = run.checkpoint()
            self.team.restore(tensors)
            number, done = self.progress.table.at(self.progress.step)
            if done and not self.progress.done:
                self._enter(number)
                checkpoint.into_optimiser(self._optimiser, tensors)
                self._criterion.restore(tensors)
        self._began = clock() - self.progress.seconds

    @property
    def phase(self) -> Phase:
        """The phase of the last step, or of the next one where none was done."""
        return self.phases[max(self._number, 0)]

    def step(self, batches: Sequence[Batch]) -> dict[str, float]:
        """Do the next step by the mean of the gradients of `batches`; returns the loss terms."""
        import torch

        number, done = self.progress.table.at(self.progress.step)
        if number != self._number:
            self._enter(number)
        team, steps, wanted = self.team, self.progress.table.steps[number], self._settings
        team.step, team.steps = done, steps
        self.pace = rate(wanted, done, steps)
        for group in self._optimiser.param_groups:
            group["lr"] = self.pace
        for name in team.learning:
            settle(team.module(name), wanted.settle, done, steps)
        torch.manual_seed(wanted.seed + self.progress.step)  # dropout, and what a phase draws
        terms = descend(self._criterion, team, self._optimiser, batches, self.progress.step, self.backend)
        team.follow(wanted.average)
        self.progress = replace(self.progress, step=self.progress.step + 1, seconds=self.elapsed())
        self._keep()
        return terms

    def validate(self, validation: Validation) -> float | None:
        """Score the averaged weights of the recipe's network; the run keeps the best, of equal ones the first.

        None in a phase whose heads mean nothing yet, and where no image has an object; the last weights are the best so
        far.
        """
        average = self.team.average[OWN]
        if not self.phase.scored or validation.blind:
            self.run.weights(average)
            self.progress = replace(self.progress, best_step=self.progress.step, seconds=self.elapsed())
            return None
        with self.run.tried(average) as (model, keep):
            now = self.progress
            score, setting = validation.score(model, self.backend, now.images, now.setting, now.scored)
            self.progress = now = replace(now, scored=now.scored + 1)
            if score > now.best:
                keep()
                self.progress = replace(now, best=score, best_step=now.step, setting=setting)
        self.progress = replace(self.progress, seconds=self.elapsed())
        return score

    def price(self, validation: Validation) -> float:
        """Seconds that an image of a validation takes, by a few; nothing is kept of it."""
        if not self.phase.scored or validation.blind:
            return 0.0
        began, images = self.clock(), min(PROBED, len(validation.items))
        with self.run.tried(self.team.average[OWN]) as (model, _):
            validation.score(model, self.backend, images)
        return (self.clock() - began) / images

    def store(self) -> None:
        """Leave a checkpoint in the run."""
        state = {**self.team.state(), **checkpoint.of_optimiser(self._optimiser), **self._criterion.state()}
        self.run.store(state, self.progress)

    def plan(self, steps: int, images: int) -> None:
        """The phase that runs has so many steps, of which some are done; what it keeps on the way follows from that.
        Its validations look at so many images."""
        table = self.progress.table.measured(self._number, steps)
        self.progress = replace(self.progress, table=table, images=images)
        self._keep()

    def elapsed(self) -> float:
        """Seconds that the training has run, all its parts together."""
        return self.clock() - self._began

    def _enter(self, number: int) -> None:
        phase = self.phases[number]
        kept = self.progress.kept
        weights = self.team.enter(phase, lambda name: self.run.kept(name, kept, self.backend))
        self._number, self._settings = number, settings(self.run.recipe, phase)
        self._optimiser: torch.optim.Optimizer = optimiser(self._settings, weights)
        self._criterion = Criterion(self.run.recipe, phase, self.backend)

    def _keep(self) -> None:
        """Keep the averaged weights of what learns, where the phase wants it and it has come that far."""
        number, table = self._number, self.progress.table
        if number >= table.known:
            return
        done = self.progress.step - sum(table.steps[:number])
        for at, part in enumerate(self.phase.keeps):
            for name in self.team.learning:
                mark = f"{self.phase.name}.{name}.{at}"
                if done >= ceil(part * table.steps[number] - 1e-9) and mark not in self.progress.kept:
                    self.run.keep(mark, self.team.average[name])
                    self.progress = replace(self.progress, kept=(*self.progress.kept, mark))
