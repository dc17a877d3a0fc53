"""Fields of a recipe that follow from the data and the memory at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from toolkit import io
from toolkit.errors import InputError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.steps.shrink import shrink_truth
from toolkit.steps.survey import Survey
from toolkit.training.footprint import Footprint
from toolkit.values.truth import Truth

WIDE = 4
"""A crop is this many objects wide."""
LIMITS = {2: (64, 256), 3: (16, 128)}
"""Least and largest extent of a crop by the number of axes."""
VIEW = 4
"""The network may see so many crops at once where it does not learn: it keeps no maps then."""
PART = 0.4
"""Windows share at most this part of their extent."""
GPU_BATCH = 8
"""Crops per step on a GPU (the virtual batch of Lalit et al. 2021)."""


@dataclass(frozen=True)
class Deduction:
    """A field `section.field`, its value, and why."""

    field: str
    value: Any
    reason: str


def survey(recipe: Recipe, *splits: io.Dataset) -> Survey:
    """Look at all annotations once, as the network sees them."""
    return Survey.of(_truths(recipe, splits))


def _truths(recipe: Recipe, splits: Collection[io.Dataset]) -> Iterator[Truth]:
    for data in splits:
        for item in data.items:
            truth = data.truth(item)
            if truth.ndim != recipe.ndim:
                raise InputError(
                    f"the recipe is {recipe.ndim}-D and this mask is {truth.ndim}-D",
                    item.mask,
                    "choose a recipe for so many axes, or say in meta.json which axes masks have",
                )
            yield shrink_truth(truth, recipe.shrink)


def deduce(
    recipe: Recipe,
    seen: Survey,
    step: Footprint,
    memory: int,
    catalogue: Catalogue,
    owner: str | None = None,
    fixed: Collection[str] = (),
    on_gpu: bool = False,
) -> tuple[Recipe, tuple[Deduction, ...]]:
    """The recipe for these data in `memory` bytes, and what was deduced; fields in `fixed` stay as they are."""
    found = [
        Deduction(f"{section}.{field}", *because)
        for section, spec in recipe.placed
        for field, because in spec.deduced(seen).items()
    ]
    found += _sizes(recipe, seen, step, memory, fixed, on_gpu)
    found = [d for d in found if d.field not in fixed]
    plain = recipe.plain()
    for deduction in found:
        *place, field = deduction.field.split(".")
        section = plain[place[0]][int(place[1])] if len(place) > 1 else plain[place[0]]
        section[field] = deduction.value
    return Recipe.parse(plain, catalogue, owner), tuple(found)


def _sizes(
    recipe: Recipe, seen: Survey, step: Footprint, memory: int, fixed: Collection[str], on_gpu: bool
) -> Iterator[Deduction]:
    """Crop, batch and windows."""
    stride, image = np.array(recipe.network.stride(recipe.ndim)), np.median(seen.shapes, axis=0)
    typical = np.percentile(seen.extents, 95, axis=0) if seen.objects else image / WIDE
    least, most = LIMITS[recipe.ndim]
    wanted = np.clip(WIDE * typical, least, most)
    wanted[-2:] = wanted[-2:].max()  # objects lie in any direction
    extent = "×".join(f"{e:.0f}" for e in typical)
    why = f"{WIDE} objects wide ({extent} voxels), within {least} to {most} and the images"
    crop = _stepped(np.minimum(wanted, image), stride)
    if "training.crop" in fixed:
        crop = recipe.training.crop
    training = recipe.training
    most = max(training.batch, GPU_BATCH if on_gpu else 1)
    crops = max(training.batch * training.accumulate, most)
    batch, accumulate = training.batch, training.accumulate
    if not {"training.batch", "training.accumulate"} & {*fixed}:
        parts = [n for n in range(most, 0, -1) if crops % n == 0]
        batch = next((n for n in parts if step.bytes(crop, n) <= memory), 1)
        accumulate = crops // batch
    if "training.crop" not in fixed:
        while step.bytes(crop, batch) > memory and (smaller := halved(crop, recipe)) is not None:
            crop, why = smaller, "as large as memory allows"
    need = f"{batch} crops take about {step.bytes(crop, batch) / 2**30:.1f} of {memory / 2**30:.1f} GiB"
    yield Deduction("training.crop", list(crop), why)
    yield Deduction("training.batch", batch, need)
    if accumulate != training.accumulate:
        yield Deduction("training.accumulate", accumulate, f"{batch * accumulate} crops per step")
    whole = _stepped(image, stride)
    view = whole if prod(whole) <= VIEW * prod(crop) else crop
    overlap = np.minimum(np.ceil(typical), np.floor(PART * np.array(view))).astype(int) // 2 * 2
    yield Deduction("tiling.window", list(view), "the whole image" if view == whole else "as the network learnt")
    yield Deduction("tiling.overlap", overlap.tolist(), "an object fits into what windows share, as far as it may")


def halved(crop: tuple[int, ...], recipe: Recipe) -> tuple[int, ...] | None:
    """The crop with its longest axis (the two in-plane ones if equal) about half as long; None if it is minimal."""
    stride = recipe.network.stride(recipe.ndim)
    longest = max(crop)
    shorter = tuple(max(s, n // 2 // s * s) if n == longest else n for n, s in zip(crop, stride, strict=True))
    return None if shorter == crop else shorter


def smaller(recipe: Recipe) -> tuple[str, ...] | None:
    """Changes of a recipe after which it takes about half as much memory; None if it cannot.

    First the crops of a step are shared out over more batches, which teaches the same; then they are smaller.
    """
    training = recipe.training
    if training.batch > 1:
        crops = training.batch * training.accumulate
        batch = next(n for n in range(training.batch // 2, 0, -1) if crops % n == 0)
        return f"training.batch={batch}", f"training.accumulate={crops // batch}"
    crop = halved(training.crop, recipe)
    return None if crop is None else (f"training.crop={list(crop)}",)


def _stepped(shape: Any, stride: Any) -> tuple[int, ...]:
    """Rounded up to multiples of the stride."""
    return tuple(int(-(-n // s) * s) for n, s in zip(shape, stride, strict=True))
