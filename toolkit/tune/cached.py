"""Predictions on disk: the network runs once for each image, the post-processor many times."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import io
from toolkit.errors import StorageError
from toolkit.evaluation import named as criterion
from toolkit.gpu.backend import Backend
from toolkit.pipeline import segment as pipeline
from toolkit.pipeline.segment import Model, Source
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.specs import Counts, Metric, PostProcessor
from toolkit.steps.shrink import enlarge
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth


@dataclass(frozen=True)
class Cache:
    """A folder of predictions of the images of `data` (`DIR:SPLIT`) by `model`, named so that any process finds them.

    A file per head and image, float32 as the network gave it and mapped into memory when it is needed: what is
    assembled from it is what a run assembles.
    """

    folder: str
    data: str
    model: Model
    metric: str

    def predict(self, index: int) -> tuple[int, ...]:
        """Run the network on image `index` and keep what it says; returns the shape of the image."""
        data = dataset(self.data)
        source = Source(str(data.items[index].image), data.axes, data.voxel_size)
        here = pipeline.scene(self.model, source)
        box = Box.whole(here.image.shape)
        about: dict[str, Any] = {"shape": box.shape, "voxel_size": here.image.voxel_size, "heads": []}
        about |= {"full": here.shape, "shrink": here.shrink}
        if not here.scale.constant:
            heads = here.predictor(here.image, here.scale, box).heads
            self._room(sum(4 * int(np.prod(head.shape)) for head in heads.values()))
            for name, head in heads.items():
                np.save(self._file(index, f"{name}.npy"), here.backend.to_numpy(head))
                about["heads"].append(name)
        self._file(index, "json").write_text(json.dumps(about), encoding="utf8")
        return box.shape

    def prediction(self, index: int) -> Prediction | None:
        """The prediction of the whole image `index`; None of an image of one value, where there is nothing to see."""
        about = self._about(index)
        heads = {name: np.load(self._file(index, f"{name}.npy"), mmap_mode="r") for name in about["heads"]}
        box = Box.whole(about["shape"])
        return Prediction(heads, box, box, box.shape, tuple(about["voxel_size"])) if heads else None

    def objects(self, postprocess: PostProcessor, index: int) -> Instances:
        """What `pipeline.assemble` makes of image `index` as one block."""
        seen, backend = self.prediction(index), Backend(self.model.device)
        if seen is None:
            return Instances.empty(truth(self.data, index).shape)
        seen = Prediction({n: backend.asarray(h) for n, h in seen.heads.items()}, seen.box, seen.core, seen.shape,
                          seen.voxel_size)  # fmt: skip
        state: Any = None
        for sweep in postprocess.passes():
            part = state.window(seen.box) if state is not None else None
            state = sweep.reduce([sweep.local(seen, part, backend)], state, backend)
        assert isinstance(state, Instances), "the last reduce of a post-processor gives Instances"
        about = self._about(index)
        return enlarge(state, about["shrink"], about["full"])

    def count(self, work: tuple[Mapping[str, Any], int]) -> Counts:
        """What image `work[1]` contributes to the metric with the post-processor `work[0]`, as plain data."""
        plugins = catalogue(self.model.allow)
        kind = plugins.find("postprocessors", str(work[0]["kind"]), self.model.owner)
        metric = measure(self.model.allow, self.metric)[0]
        return metric.count(truth(self.data, work[1]), self.objects(kind.model_validate(dict(work[0])), work[1]))

    def _about(self, index: int) -> dict[str, Any]:
        return dict(json.loads(self._file(index, "json").read_text(encoding="utf8")))

    def _file(self, index: int, ending: str) -> Path:
        return Path(self.folder) / f"{index}.{ending}"

    def _room(self, wanted: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if wanted > free:
            raise StorageError(
                f"predictions of one image need {wanted / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free",
                self.folder,
                "free space, set TMPDIR to another disk, or tune on fewer images",
            )


@lru_cache(maxsize=1)
def dataset(where: str) -> io.Dataset:
    """The data set in this process."""
    return io.open_dataset(where)


@lru_cache(maxsize=256)
def truth(where: str, index: int) -> Truth:
    """The annotation of an image in this process."""
    data = dataset(where)
    return data.truth(data.items[index])


@lru_cache(maxsize=1)
def catalogue(allow: tuple[str, ...] | None) -> Catalogue:
    """The plugins in this process."""
    return Catalogue(allow)


@lru_cache(maxsize=1)
def measure(allow: tuple[str, ...] | None, name: str) -> tuple[Metric, str]:
    """The metric in this process."""
    return criterion.find_value(name, catalogue(allow))
