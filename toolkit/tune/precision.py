"""May a model compute in 16 bits? Measured on annotated images, once, and kept in its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit import io
from toolkit.evaluation.named import find_value
from toolkit.gpu.backend import Backend, short
from toolkit.pipeline.engines import Engine
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.package import ModelPackage

LOSS = 0.003
"""No S@t may fall by more than this."""


@dataclass(frozen=True)
class Precision:
    """What was measured: mean S@t of both, by threshold, and what may be used."""

    chosen: Literal["float32", "bfloat16"]
    float32: dict[str, float]
    bfloat16: dict[str, float]


def precision(model: ModelPackage, data: str, catalogue: Catalogue, backend: Backend) -> Precision | None:
    """S of the model in float32 and in bfloat16 on the images of `data`; None where nothing is gained by asking: on
    processors without instructions for it, for foreign models and where only points are found."""
    recipe = model.recipe
    if not short(backend) or recipe.network.fixed or recipe.postprocess.detects:
        return None
    metric = find_value("S@0.50", catalogue)[0]
    opened = io.open_dataset(data)
    found: list[dict[str, float]] = []
    for kind in ("float32", "bfloat16"):
        session = Session(model, backend, catalogue, Engine("torch", kind))
        counts = []
        for item in opened.items:
            objects = session.objects(session.pieces(session.prepare(opened.image(item))), recipe.postprocess)
            counts.append(metric.count(opened.truth(item), objects))
        values = metric.summarise(counts)
        found.append({name: float(value) for name, value in values.items() if name.startswith("S@")})
    before, after = found
    costs = max((before[name] - after[name] for name in before), default=1.0)
    return Precision("bfloat16" if costs <= LOSS else "float32", before, after)
