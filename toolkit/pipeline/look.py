"""At what size an image is seen: what the user says, what voxel sizes say, or a first look at a sample of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, UsageError
from toolkit.pipeline.session import Prepared, Session
from toolkit.steps.rescale import rescale, stepped
from toolkit.steps.sizes import Diameter, Sizes, diameters
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.tiles import Box

COARSER, FINER = (1.0, 0.5, 0.25), (2.0, 4.0)
"""Scales of the first look, and those that it goes on to where nothing was found."""
PLACES = (0.25, 0.75)
"""Windows of the first look lie around these parts of the extent of an image."""
FEW = 3
"""Fewer whole objects say nothing about their size."""
NEAR = 0.9
"""Looks that find so much of what the best one finds agree with it."""
LOST = 0.7
"""An image in which less than this part of what was found is found again is not rescaled."""
SAME = 1.25
"""Voxel sizes that differ by less are taken for equal."""
MOST = 16.0
"""No image is seen larger or smaller than by this factor."""


@dataclass(frozen=True)
class Seen:
    """What one look `by` a factor saw: diameters `(N,)` of whole objects in voxels of the image, the share of what was
    looked at that lies in objects, and that share weighed by their scores."""

    by: float
    diameters: NDArray[np.float64]
    covered: float
    surely: float

    @property
    def median(self) -> float:
        return float(np.median(self.diameters))

    @property
    def tells(self) -> bool:
        """Whether it saw enough to say how large objects are."""
        return len(self.diameters) >= FEW


def rescaling(session: Session, image: Image, asked: Diameter) -> Rescaling:
    """At what size the model of a session sees an image.

    A diameter that is said counts; else the voxel size, where image and model know theirs; else what a first look at
    the image finds, unless the model learnt such sizes. Deterministic. Raises `UsageError` if a diameter is said and
    the model does not know what it learnt, `InputError` if it is in µm and the image is not calibrated.
    """
    recipe = session.model.recipe
    learnt, spacing = recipe.input.diameter_px, recipe.input.spacing_um
    if asked.how == "off" or image.ndim != recipe.ndim:
        return Rescaling()
    if asked.how != "auto":
        return _said(session, image, asked, learnt)
    if spacing is not None and image.calibrated:
        ratios = [v / s for v, s in zip(image.voxel_size, spacing, strict=True)]
        if max(max(r, 1 / r) for r in ratios) < SAME:
            return Rescaling()
        by = tuple(_limited(r) for r in ratios)
        have, want = ("×".join(f"{v:.3g}" for v in size) for size in (image.voxel_size, spacing))
        return Rescaling(by, None, f"voxels of {have} µm, the model learnt {want} µm: {_seen(by)}")
    return Rescaling() if learnt is None else _looked(session, image, learnt)


def _said(session: Session, image: Image, asked: Diameter, learnt: Sizes | None) -> Rescaling:
    if learnt is None:
        raise UsageError(
            "the model does not know the size of the objects that it learnt", session.model.name,
            "leave out --diameter, or say it with --set 'input.diameter_px={low: 12, median: 20, high: 30}'",
        )  # fmt: skip
    if asked.how == "um" and not image.calibrated:
        raise InputError("the voxel size is unknown", image.name, "say --voxel-size, or --diameter in pixels")
    micron = prod(image.voxel_size) ** (1 / image.ndim)
    number = asked.number / micron if asked.how == "um" else asked.number
    shrink = prod(session.model.recipe.shrink) ** (1 / image.ndim)
    return _for(number / shrink, learnt, image.ndim, shrink)


def _for(diameter: float, learnt: Sizes, ndim: int, shrink: float) -> Rescaling:
    """For objects of a `diameter` in voxels of what the network sees of the image as it is."""
    shown = round(diameter * shrink, 1)
    if learnt.low <= diameter <= learnt.high or (factor := _limited(learnt.median / diameter)) == 1:
        return Rescaling((), shown)
    by = (factor,) * ndim
    return Rescaling(by, shown, f"objects Ø {shown:.3g} px, the model learnt {learnt}: {_seen(by)}")


def _looked(session: Session, image: Image, learnt: Sizes) -> Rescaling:
    here = session.prepare(image)
    shrink = prod(session.model.recipe.shrink) ** (1 / image.ndim)
    if here.scale.constant:
        return Rescaling()
    looks = [look(session, here, by) for by in COARSER]
    if not any(seen.tells for seen in looks):
        looks = [look(session, here, by) for by in FINER]
    found = estimate(looks, learnt)
    if found is None:
        return Rescaling()
    answer = _for(found, learnt, image.ndim, shrink)
    if not answer.by:
        return answer
    # Seen as it will be: what was estimated from afar is measured, and must not be lost.
    again = look(session, here, answer.by[0])
    if again.covered < LOST * looks[0].covered:
        return Rescaling((), answer.diameter_px)
    return _for(again.median, learnt, image.ndim, shrink) if again.tells else answer


def estimate(looks: Sequence[Seen], learnt: Sizes) -> float | None:
    """The median diameter of objects, from looks at several scales; None if none of them tells.

    A network that sees objects too large finds shards, and too small ones it misses or doubts: either covers less, so
    the look that surely covers most is right. Of those that cover nearly as much, that one counts in which objects are
    most like those that were learnt.
    """
    telling = [seen for seen in looks if seen.tells]
    if not telling:
        return None
    most = max(seen.surely for seen in telling)
    agreeing = [seen for seen in telling if seen.surely >= NEAR * most]
    return min(agreeing, key=lambda seen: abs(log2(seen.median * seen.by / learnt.median))).median


def look(session: Session, here: Prepared, by: float) -> Seen:
    """What is found in a sample of an image, seen `by` so many voxels per voxel.

    All looks at an image cover the same places; the coarser ones see more around them, finer ones less of them.
    """
    window, ndim = session.model.recipe.tiling.window, here.image.ndim
    image = rescale(here.image, (by,) * ndim)
    at: dict[Box, list[Box]] = {}
    for place, region in zip(_boxes(image.shape, window), _boxes(here.image.shape, window), strict=True):
        at.setdefault(place, []).append(region)
    sizes, covered, surely, looked = [np.zeros(0)], 0.0, 0.0, 0.0
    for box, regions in at.items():
        crop = Image(image.read(box), image.axes, image.voxel_size, image.name, image.calibrated)
        found = session.found(session.pieces(Prepared(crop, here.scale, crop.shape)), session.model.recipe.postprocess)
        whole = ((found.boxes[:, 0] > 0) & (found.boxes[:, 1] < crop.shape)).all(1)
        sizes.append(diameters(found.sizes[whole], ndim) / by)
        centres = (found.centroids + box.start + 0.5) / by - 0.5
        for region in regions:
            low = np.maximum(region.start, np.array(box.start) / by)
            high = np.minimum(region.stop, np.array(box.stop) / by)
            inside = ((centres + 0.5 >= low) & (centres + 0.5 < high)).all(1)
            looked += float(np.prod(high - low)) * by**ndim
            covered += float(found.sizes[inside].sum())
            surely += float((found.sizes * found.scores)[inside].sum())
    return Seen(by, np.concatenate(sizes), covered / looked, surely / looked)


def _boxes(shape: Sequence[int], window: Sequence[int]) -> list[Box]:
    """Windows around the places of an image that are looked at, all of an axis that is no longer."""
    found = []
    for part in PLACES:
        parts = [0.5] * (len(shape) - 2) + [part] * 2
        size = [min(n, w) for n, w in zip(shape, window, strict=True)]
        start = [min(max(0, round(p * n - s / 2)), n - s) for p, n, s in zip(parts, shape, size, strict=True)]
        found.append(Box(tuple(start), tuple(a + s for a, s in zip(start, size, strict=True))))
    return found


def _limited(factor: float) -> float:
    return stepped(min(max(factor, 1 / MOST), MOST))


def _seen(by: Sequence[float]) -> str:
    """How it is seen, in words."""
    factors = [f"{b:.3g}" for b in (by[:1] if len({*by}) == 1 else by)]
    return f"seen at ×{'×'.join(factors)}"
