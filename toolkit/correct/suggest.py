"""Which image to correct next: the one about which a model disagrees with itself, or models with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.correct.doubt import disputed, doubt, quarter_turns, regions, turned, turned_back
from toolkit.correct.history import History
from toolkit.correct.result import Result, Segmented
from toolkit.errors import ModelError, UsageError
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import resolve
from toolkit.values.frames import frame
from toolkit.values.image import Image
from toolkit.values.instances import Instances

SHOWN = 3
"""Regions of an image."""
TURNS = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """A box as `--right` and `--roi` take it, and the share of its voxels that is disputed."""

    box: str
    disputed: float


@dataclass(frozen=True, eq=False)
class Suggestion:
    """An image: how much it is in doubt, in [0, 1], how many objects were found in it, and where they are in doubt."""

    image: str
    doubt: float
    objects: int
    regions: tuple[Region, ...]
    looks: Floats
    """What it looks like, in a few numbers."""

    def plain(self) -> dict[str, Any]:
        return {"image": self.image, "doubt": round(self.doubt, 4), "objects": self.objects,
                "regions": [{"box": r.box, "disputed": round(r.disputed, 4)} for r in self.regions]}  # fmt: skip


def suggest(
    result: Result,
    catalogue: Catalogue,
    *,
    models: Sequence[str] = (),
    turns: int = TURNS,
    device: str = "auto",
    run: Map = serial,
) -> list[Suggestion]:
    """The images of a result that nobody has corrected yet, the one to correct next first.

    The doubt is that between the objects of the result and those that its model finds in the turned image, or those of
    other `models`: mean of 1 − 2 ΣIoU / (N + M). Of images in doubt, one that looks unlike those that stand before it
    comes first. Raises `ModelError` if the model of the result is another one by now, `UsageError` where all images are
    corrected.
    """
    done = History(result.corrections).standing()
    todo = [image for image in result.images if image.name not in done]
    if not todo:
        raise UsageError("all images of this result are corrected", result.out, "run the model on other images")
    if models:
        sessions = [Session(name, device, catalogue) for name in models]
        look = partial(_by_models, sessions)
    else:
        look = partial(_by_turns, of_result(result, device, catalogue), turns)
    return ordered(list(run(partial(_suggestion, look), todo)))


def of_result(result: Result, device: str, catalogue: Catalogue) -> Session:
    """The model that made a result, with the recipe with which it did."""
    about = result.model
    loaded = resolve.load(str(about["reference"]), catalogue, about["owner"])
    if loaded.sha256 != about["sha256"]:
        raise ModelError("this is not the model of that result any more", str(about["reference"]),
                         "name those to compare with --model")  # fmt: skip
    recipe = Recipe.parse(about["recipe"], catalogue, loaded.owner)
    return Session(loaded.with_recipe(recipe), device, catalogue)


def ordered(found: Sequence[Suggestion]) -> list[Suggestion]:
    """The most doubtful first, then each time the one whose doubt, times how unlike it is to all before it, is largest:
    ten pictures of one kind teach less than one of each."""
    left = sorted(found, key=lambda one: (-one.doubt, one.image))
    if len(left) < 3:
        return left
    looks = np.array([one.looks for one in left])
    looks = (looks - looks.mean(0)) / np.maximum(looks.std(0), 1e-9)
    apart = np.sqrt(((looks[:, None] - looks[None]) ** 2).sum(-1))
    usual = float(np.median(apart[np.triu_indices(len(left), 1)])) or 1.0
    near, order = np.full(len(left), np.inf), [0]
    while len(order) < len(left):
        near = np.minimum(near, apart[order[-1]])
        worth = np.array([one.doubt for one in left]) * np.minimum(near / usual, 1)
        worth[order] = -1
        order.append(int(worth.argmax()))
    return [left[n] for n in order]


def _suggestion(look: Any, image: Segmented) -> Suggestion:
    objects, frames = image.objects(), image.frames()
    doubts, shapes, places = [], [], []
    for number, one in enumerate(frames):
        own = frame(objects, number) if len(frames) > 1 else objects
        prepared, found = look(image, one)
        others = [image.wanted(other, one, number) for other in found]
        doubts += [doubt(own, other) for other in others]
        shapes.append(_looks(prepared, own))
        mask = np.mean([disputed(own, other) for other in others], axis=0)
        prefix = (slice(number, number + 1),) if len(frames) > 1 else ()
        places += [((*prefix, *box.slices), share) for box, share in regions(mask)]
    places.sort(key=lambda place: -place[1])
    where = [Region(",".join(f"{s.start}:{s.stop}" for s in box), share) for box, share in places[:SHOWN]]
    return Suggestion(image.name, float(np.mean(doubts)), len(objects), tuple(where), np.mean(shapes, axis=0))


def _by_turns(session: Session, turns: int, image: Segmented, one: Image) -> tuple[Prepared, list[Instances]]:
    prepared, found = session.prepare(one), []
    for turn in quarter_turns(one.ndim)[:turns]:
        by = tuple(image.by[axis] for axis in turn.order) if image.by else ()
        # The scale is that of the image, as in the run: of a time series it is that of all its frames.
        seen = session.prepare(turned(one, turn), prepared.scale, by)
        found.append(turned_back(_objects(session, seen), turn, one.shape))
    return prepared, found


def _by_models(sessions: Sequence[Session], image: Segmented, one: Image) -> tuple[Prepared, list[Instances]]:
    return sessions[0].prepare(one), [_objects(s, s.prepare(one, by=image.by)) for s in sessions]


def _objects(session: Session, prepared: Prepared) -> Instances:
    return session.objects(session.pieces(prepared), session.model.recipe.postprocess)


def _looks(prepared: Prepared, objects: Instances) -> Floats:
    """Brightness, contrast, skewness and graininess of what the network sees; how many objects, and how large."""
    voxels = prepared.image.read().astype(np.float64)
    low, *middle, high = np.percentile(voxels, (1, 25, 50, 75, 99))
    scaled = np.clip((voxels - low) / max(high - low, 1e-12), 0, 1)
    grain = np.mean([np.abs(np.diff(scaled, axis=axis)).mean() for axis in (-2, -1)])
    parts = [(m - low) / max(high - low, 1e-12) for m in middle]
    size = float(np.median(objects.sizes)) if len(objects) else 0.0
    return np.array([*parts, scaled.std(), grain, np.log1p(len(objects)), np.log1p(size)])
