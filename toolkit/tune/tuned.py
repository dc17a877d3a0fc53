"""What came of tuning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from toolkit.plugins.recipe import Recipe
from toolkit.tune.precision import Precision
from toolkit.tune.search import Values

SCHEMA = "toolkit.tuned/1"


@dataclass(frozen=True, eq=False)
class Trial:
    """A setting and its value of the metric; None where the setting is impossible or the value undefined."""

    values: Values
    score: float | None


@dataclass(frozen=True, eq=False)
class Tuned:
    """The best setting of some fields of a post-processor on some images.

    `before` and `after` are the scores of the start and of the best; `interval` is that of their difference (95 %
    bootstrap over images), None with fewer than two images or if nothing is better.
    """

    recipe: Recipe
    metric: str
    data: str
    images: int
    start: Values
    best: Values
    before: float | None
    after: float | None
    interval: tuple[float, float] | None
    trials: tuple[Trial, ...]
    sampler: str
    seconds: float
    precision: Precision | None = None
    """What 16 bits cost, where that was measured."""

    @property
    def better(self) -> bool:
        """Something better than the start was found."""
        return self.best != self.start

    @property
    def bits(self) -> str:
        """In what the best one may compute: `float32` or `bfloat16`."""
        return self.recipe.tiling.precision

    @property
    def changes(self) -> tuple[str, ...]:
        """The best setting as `--set` changes."""
        return tuple(change(name, value) for name, value in self.best.items())

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "schema": SCHEMA,
            "metric": self.metric,
            "data": self.data,
            "images": self.images,
            "sampler": self.sampler,
            "start": self.start,
            "best": self.best,
            "before": self.before,
            "after": self.after,
            "interval": self.interval,
            "set": list(self.changes),
            "postprocess": self.recipe.plain()["postprocess"],
            "seconds": round(self.seconds, 1),
            "precision": self.precision and asdict(self.precision),
            "trials": [{**trial.values, "score": trial.score} for trial in self.trials],
        }


def change(field: str, value: Any) -> str:
    """A value of a field of the post-processor as a `--set` change."""
    return f"postprocess.{field}={'null' if value is None else value}"
