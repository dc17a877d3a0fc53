"""What a network said of annotated images, on disk: it runs once for each image, the post-processor many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.evaluation import named
from toolkit.pipeline.elsewhere import Model
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.session import Session
from toolkit.pipeline.tools import tools
from toolkit.plugins.metric import Counts, Metric
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


@dataclass(frozen=True)
class Work:
    """A folder of pieces of the images of `data` (`DIR:SPLIT`) by `model`, named so that any process finds them, and
    the metric that judges what is made of them: by any settings if they are `loose`, else by that of the model."""

    folder: str
    data: str
    model: Model
    metric: str
    loose: bool = True


class Judge:
    """What a process works with that predicts and judges the images: its `tools()`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._truths: dict[int, Truth] = {}

    @cached_property
    def data(self) -> io.Dataset:
        return io.open_dataset(self._work.data)

    @cached_property
    def session(self) -> Session:
        return self._work.model.session()

    @cached_property
    def metric(self) -> Metric:
        return named.find_value(self._work.metric, self.session.catalogue)[0]

    def predict(self, index: int) -> tuple[int, ...]:
        """Run the network on image `index` and keep what it says; returns the shape of the image."""
        prepared = self.session.prepare(self.data.image(self.data.items[index]))
        # In files at once: every process may be asked for every image.
        self.session.pieces(prepared, folder=self._folder(index), loose=self._work.loose, room=0).save()
        return prepared.shape

    def objects(self, postprocess: PostProcessor, index: int) -> Instances:
        """What a run makes of image `index`."""
        own = self.session.model.recipe.postprocess
        return self.session.objects(Pieces.open(self._folder(index), self.session.backend, own), postprocess)

    def count(self, work: tuple[Mapping[str, Any], int]) -> Counts:
        """What image `work[1]` contributes to the metric with the post-processor `work[0]`, as plain data."""
        post = type(self.session.model.recipe.postprocess).model_validate(dict(work[0]))
        if work[1] not in self._truths:
            self._truths = {work[1]: self.data.truth(self.data.items[work[1]])}
        return self.metric.count(self._truths[work[1]], self.objects(post, work[1]))

    def _folder(self, index: int) -> Path:
        return Path(self._work.folder) / str(index)


def predict(index: int) -> tuple[int, ...]:
    """`Judge.predict` in a process of its own."""
    shape: tuple[int, ...] = tools().predict(index)
    return shape


def count(work: tuple[Mapping[str, Any], int]) -> Counts:
    """`Judge.count` in a process of its own."""
    found: Counts = tools().count(work)
    return found
