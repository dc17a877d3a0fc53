"""What a tuning would take: some of its images are predicted and judged before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from toolkit import io
from toolkit.gpu.backend import Backend
from toolkit.pipeline.elsewhere import Model
from toolkit.registry.package import ModelPackage
from toolkit.tune.cached import Judge, Work

SOME, PART = 3, 12
"""Images that are looked at, but no more than one of so many."""


@dataclass(frozen=True)
class Cost:
    """Seconds that all images take: the `first` setting, for which they are predicted, and each `other` one."""

    first: float = 0.0
    other: float = 0.0


def rehearse(model: ModelPackage, data: str, metric: str, backend: Backend, clock: Callable[[], float]) -> Cost:
    """The cost of a tuning of `model` on the images of `data` (`DIR:SPLIT`), estimated by some that lie evenly among
    them; nothing where they are so few that a look costs as much as it saves."""
    images = len(io.open_dataset(data).items)
    some = min(SOME, images // PART)
    if not some:
        return Cost()
    plain, predicted, judged = model.recipe.postprocess.model_dump(mode="json"), 0.0, 0.0
    with TemporaryDirectory(prefix="seg-tune-") as folder:
        judge = Judge(Work(folder, data, Model.of(model, backend), metric))
        judge.session.predictor  # noqa: B018  (loaded before the clock is read)
        for index in range(images // some // 2, images, images // some):
            began = clock()
            judge.predict(index)
            between = clock()
            judge.count((plain, index))
            predicted, judged = predicted + between - began, judged + clock() - between
    scale = images / some
    return Cost((predicted + judged) * scale, judged * scale)
