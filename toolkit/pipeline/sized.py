"""At what size an image is seen: what the user says, what voxel sizes say, or a first look at a sample of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

from toolkit.errors import InputError, UsageError
from toolkit.pipeline.look import Seen, around, at, look, own_look, points, rows
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.steps.rescale import stepped
from toolkit.steps.sizes import Diameter, Sizes
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling

COARSER, FINER = (0.5, 0.25), (2.0, 4.0)
"""Scales at which a look goes on that does not know enough, and those where nothing was found."""
NEAR = 0.9
"""Looks that find so much of what the best one finds agree with it."""
LOST = 0.7
"""An image in which less than this part of what was found is found again is not rescaled."""
SAME = 1.25
"""Voxel sizes that differ by less are taken for equal."""
MOST = 16.0
"""No image is seen larger or smaller than by this factor."""


def rescaling(session: Session, image: Image, asked: Diameter, shows: Sequence[str] = ()) -> tuple[Rescaling, Prepared]:
    """At what size the model of a session sees an image, and the image so, with what it was looked at for; `shows` is
    for `Session.prepare`.

    A diameter that is said counts; else the voxel size, where image and model know theirs; else what a first look at
    the image finds, unless the model learnt such sizes. Deterministic. Raises `UsageError` if a diameter is said and
    the model does not know what it learnt, `InputError` if it is in µm and the image is not calibrated.
    """
    here = session.prepare(image, shows=shows)
    learnt = session.model.recipe.input.diameter_px
    known = _known(session, image, asked, learnt)
    if known is None and learnt is not None and not here.scale.constant:
        return _looked(session, here, learnt)
    known = known or Rescaling()
    return known, at(here, known.by)


def _known(session: Session, image: Image, asked: Diameter, learnt: Sizes | None) -> Rescaling | None:
    """What can be said without a look."""
    recipe = session.model.recipe
    spacing = recipe.input.spacing_um
    if asked.how == "off":
        return Rescaling()
    if asked.how != "auto":
        return _said(session, image, asked, learnt)
    if spacing is None or not image.calibrated:
        return None
    ratios = [v / s for v, s in zip(image.voxel_size, spacing, strict=True)]
    if max(max(r, 1 / r) for r in ratios) < SAME:
        return Rescaling()
    by = tuple(_limited(r) for r in ratios)
    have, want = ("×".join(f"{v:.3g}" for v in size) for size in (image.voxel_size, spacing))
    return Rescaling(by, None, f"voxels of {have} µm, the model learnt {want} µm: {_words(by)}")


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
    if learnt.low <= diameter <= learnt.high or (factor := _limited(learnt.nearest(diameter) / diameter)) == 1:
        return Rescaling((), shown)
    by = (factor,) * ndim
    return Rescaling(by, shown, f"objects Ø {shown:.3g} px, the model learnt {learnt}: {_words(by)}")


def _looked(session: Session, here: Prepared, learnt: Sizes) -> tuple[Rescaling, Prepared]:
    ndim = here.image.ndim
    shrink = prod(session.model.recipe.shrink) ** (1 / ndim)
    for where in points(here.image.shape, session.lattice(here)):
        before, here = here, around(session, here, where)
        if before.kept.keys() == here.kept.keys():
            break
        regions = list(rows(here))
        first = own_look(session, here, regions)
        if first.sound(learnt) and (
            first.clear or first.surely >= NEAR * look(session, here, 0.5, regions, close=True)[0].surely
        ):
            return _for(first.median, learnt, ndim, shrink), here
    looks = [(first, here), *(look(session, here, by, regions) for by in COARSER)]
    if not any(seen.tells for seen, _ in looks):
        looks = [look(session, here, by, regions) for by in FINER]
    found = estimate([seen for seen, _ in looks], learnt)
    answer = Rescaling() if found is None else _for(found, learnt, ndim, shrink)
    if not answer.by:
        return answer, here
    # Seen as it will be: what was estimated from afar is measured, and must not be lost.
    known = {seen.by: (seen, there) for seen, there in looks}
    again, there = known.get(answer.by[0]) or look(session, here, answer.by[0], regions)
    if again.covered < LOST * looks[0][0].covered:
        return Rescaling((), answer.diameter_px), here
    if again.tells:
        answer = _for(again.median, learnt, ndim, shrink)
    return answer, there if answer.by == there.by else at(here, answer.by)


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


def _limited(factor: float) -> float:
    return stepped(min(max(factor, 1 / MOST), MOST))


def _words(by: Sequence[float]) -> str:
    """How it is seen, in words."""
    factors = [f"{b:.3g}" for b in (by[:1] if len({*by}) == 1 else by)]
    end = ", which is the most" if max(by) >= MOST else ", which is the least" if min(by) <= 1 / MOST else ""
    return f"seen at ×{'×'.join(factors)}{end}"
