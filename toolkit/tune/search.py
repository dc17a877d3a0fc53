"""Ways to search: which values of the fields to try next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import exp, inf, log
from typing import Any

from toolkit.errors import UsageError, nearest
from toolkit.plugins.search import Search

Values = dict[str, Any]
Score = Callable[[Sequence[Values]], list[float]]
"""Scores of several settings at once, for instance in parallel; more is better, −inf is for one that cannot be."""
Space = dict[str, Search]

COARSE = 7
"""Values of a field in the first round, over its whole range."""
ROUNDS = 4
"""Later rounds look at a third of the distance each."""


@dataclass
class Budget:
    """Asks for scores until `trials` settings have been tried; remembers them, so that none is tried twice.

    With `late`, which says that there is no time for another one, they are asked for one by one.
    """

    score: Score
    trials: int
    late: Callable[[], bool] | None = None
    known: dict[tuple[tuple[str, Any], ...], float] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        return len(self.known) >= self.trials or bool(self.known and self.late and self.late())

    def ask(self, settings: Sequence[Values]) -> list[float]:
        """Scores in order; −inf for those that the budget does not reach."""
        fresh = {key(s): s for s in settings if key(s) not in self.known}
        some = list(fresh.values())[: max(0, self.trials - len(self.known))]
        for part in [[setting] for setting in some] if self.late else [some] if some else []:
            if not self.spent:
                self.known |= dict(zip(map(key, part), self.score(part), strict=True))
        return [self.known.get(key(s), -inf) for s in settings]

    def best(self, start: Values) -> Values:
        """The best setting so far; of equal ones the first, which is `start` if nothing is better."""
        winner = max(self.known, key=lambda k: self.known[k])
        return dict(winner) if self.known[winner] > self.known[key(start)] else start


def key(values: Values) -> tuple[tuple[str, Any], ...]:
    """A setting as something to look up."""
    return tuple(sorted(values.items()))


def search(
    sampler: str, space: Space, start: Values, score: Score, trials: int, late: Callable[[], bool] | None = None
) -> Values:
    """The best setting found from `start` in at most `trials` settings, `start` included, or until it is `late`."""
    if sampler not in SAMPLERS:
        raise UsageError("no such sampler", sampler, nearest(sampler, SAMPLERS))
    budget = Budget(score, trials, late)
    budget.ask([start])
    SAMPLERS[sampler](space, start, budget)
    return budget.best(start)


def coordinates(space: Space, start: Values, budget: Budget) -> None:
    """One field after the other, over its range at first, then ever closer around the best."""
    best, reach = start, 1 / (COARSE - 1)
    for turn in range(ROUNDS):
        for name, how in space.items():
            at = place(how, best[name])
            marks = (
                [k / (COARSE - 1) for k in range(COARSE)]
                if turn == 0
                else [at + k * reach for k in (-2, -1, 1, 2) if 0 <= at + k * reach <= 1]
            )
            marks.sort(key=lambda mark: abs(mark - at))  # where the trials do not suffice, the nearest count
            tries = [best, *({**best, name: value(how, mark)} for mark in marks)]
            scores = budget.ask(tries)
            best = tries[scores.index(max(scores))]
            if budget.spent:
                return
        reach /= 3


def grid(space: Space, start: Values, budget: Budget) -> None:
    """All combinations of as many values per field as the trials allow, at least two."""
    per_field = max(2, int((budget.trials - 1 + 1e-9) ** (1 / len(space))))
    axes = [list(dict.fromkeys(value(how, k / (per_field - 1)) for k in range(per_field))) for how in space.values()]
    budget.ask([{**start, **dict(zip(space, point, strict=True))} for point in product(*axes)])


def optuna(space: Space, start: Values, budget: Budget) -> None:
    """Optuna's tree-structured Parzen estimator, seeded."""
    try:
        import optuna as library
    except ImportError as error:
        raise UsageError("Optuna is not installed", "--sampler optuna", "pip install optuna") from error
    library.logging.set_verbosity(library.logging.WARNING)
    study = library.create_study(direction="maximize", sampler=library.samplers.TPESampler(seed=0))
    # Small spaces run out of settings before the trials do.
    for _ in range(4 * budget.trials):
        if budget.spent:
            return
        trial = study.ask()
        setting = {n: value(how, trial.suggest_float(n, 0, 1)) for n, how in space.items()}
        found = budget.ask([{**start, **setting}])[0]
        study.tell(trial, found if found > -inf else None, None if found > -inf else library.trial.TrialState.FAIL)


def place(how: Search, number: Any) -> float:
    """Where a value lies in its range, 0 at `low`, 1 at `high`; values outside are at the nearer end, null is in the
    middle. Choices lie side by side."""
    if how.choices:
        return how.choices.index(number) / max(1, len(how.choices) - 1) if number in how.choices else 0.0
    if number is None:
        return 0.5
    inside = min(max(number, how.low), how.high)
    return log(inside / how.low) / log(how.high / how.low) if how.log else (inside - how.low) / (how.high - how.low)


def value(how: Search, mark: float) -> Any:
    """The value at `mark` in [0, 1], on the field's steps, to four digits."""
    if how.choices:
        return how.choices[round(mark * (len(how.choices) - 1))]
    raw = how.low * exp(mark * log(how.high / how.low)) if how.log else how.low + mark * (how.high - how.low)
    if how.step is None:
        return float(f"{raw:.4g}")
    stepped = min(how.low + round((raw - how.low) / how.step) * how.step, how.high)
    return int(stepped) if float(stepped).is_integer() else float(f"{stepped:.6g}")


SAMPLERS: dict[str, Callable[[Space, Values, Budget], None]] = {
    "coordinates": coordinates,
    "grid": grid,
    "optuna": optuna,
}
"""Ways to search, by name."""
