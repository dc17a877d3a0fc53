"""What is odd about the annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.check.facts import Facts, MaskFacts
from toolkit.check.finding import Finding, Place, count, finding

SMALL, LARGE = 1 / 25, 25.0
"""An object is tiny or huge if its size is beyond these multiples of the median."""
FEWEST = 4
"""Objects of fewer voxels are tiny whatever the others are."""
CROWDED = 0.99
"""Share of all numbers that an integer type can hold from which on it may have run over."""
SUBSTANTIAL = 0.1
"""A piece of at least this share of its object is no stray voxel."""


def odd_labels(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Findings about the masks, each of which could be read."""
    masks = [(f.entry.name, f.mask) for f in facts if f.mask is not None]
    yield from _types(masks)
    meaning = {name: mask for name, mask in masks if semantic(mask)}
    yield from finding(
        "semantic",
        "warning",
        f"{count(len(meaning), 'mask')} with one id for all objects: probably classes, not objects",
        "label the objects, or use --fix FOLDER --split-pieces, which joins those that touch",
        [Place(name, f"id {int(mask.high)} in {len(mask.pieces[int(mask.high)])} pieces")
         for name, mask in meaning.items()],
    )  # fmt: skip
    wrapped = {name: mask for name, mask in masks if _wrapped(mask)}
    yield from finding(
        "wrap",
        "warning",
        f"{count(len(wrapped), 'mask')} where ids seem to have run over and begun anew",
        "write the labels with a wider type, uint32, from their source",
        [Place(name, f"{mask.dtype}, {len(mask.objects)} ids, {len(mask.pieces)} of them in several pieces")
         for name, mask in wrapped.items()],
    )  # fmt: skip
    yield from _pieces([(n, m) for n, m in masks if n not in meaning and n not in wrapped])
    yield from finding(
        "points", "note", f"{count(sum(m.points for _, m in masks), 'mask')} of points: one voxel for each object",
        "choose a method that detects points",
        [Place(name, count(len(mask.objects), "point")) for name, mask in masks if mask.points],
    )  # fmt: skip
    yield from _sizes([(n, m) for n, m in masks if not m.points])
    yield from _conventions(masks)
    empty = [Place(name) for name, mask in masks if len(mask.objects) == 0 and not mask.blank]
    yield from finding(
        "empty-mask", "warning", f"{count(len(empty), 'mask')} without an object", "make sure that is right", empty
    )
    overlapping = [
        Place(name, f"{mask.objects.overlapping} objects in {count(mask.objects.pairs, 'pair')}")
        for name, mask in masks
        if mask.objects.pairs
    ]
    total = sum(mask.objects.overlapping for _, mask in masks)
    yield from finding(
        "overlap", "note", f"{total} objects overlap, in {count(len(overlapping), 'image')}",
        "choose a method whose objects may share voxels", overlapping,
    )  # fmt: skip


def _types(masks: Sequence[tuple[str, MaskFacts]]) -> Iterator[Finding]:
    floats = [Place(name, mask.dtype) for name, mask in masks if mask.dtype.startswith("float")]
    yield from finding(
        "float-labels", "warning", f"{count(len(floats), 'mask')} stored as fractions", "store integers; --fix does it",
        floats,
    )  # fmt: skip
    # Bytes and 16 bits mix wherever few and many objects do; what matters is signed beside unsigned.
    kinds = {mask.dtype.rstrip("0123456789") for _, mask in masks} - {"float"}
    if len(kinds) > 1:
        rare = min(kinds, key=lambda k: sum(m.dtype.startswith(k) for _, m in masks))
        where = [Place(name, mask.dtype) for name, mask in masks if mask.dtype.startswith(rare)]
        yield Finding("mixed-mask-types", "note", f"masks of types {', '.join(sorted(kinds))}", "", tuple(where))


def semantic(mask: MaskFacts) -> bool:
    """One id for all objects, as masks of classes have."""
    return mask.kind == "L" and len(mask.objects) == 1 and int(mask.high) in mask.pieces and mask.high in (1, 255)


def _wrapped(mask: MaskFacts) -> bool:
    most = {"uint8": 255, "uint16": 65535}.get(mask.dtype)
    return (
        mask.kind == "L"
        and most is not None
        and len(mask.objects) >= CROWDED * most
        and any(_substantial(sizes) for sizes in mask.pieces.values())
    )


def _substantial(sizes: tuple[int, ...]) -> bool:
    return sizes[1] >= SUBSTANTIAL * sizes[0]


def _pieces(masks: Sequence[tuple[str, MaskFacts]]) -> Iterator[Finding]:
    where, large = [], 0
    for name, mask in masks:
        if pieces := mask.pieces:
            large += sum(map(_substantial, pieces.values()))
            most = max(pieces.values(), key=lambda sizes: sizes[1])
            where.append(Place(name, f"largest {', '.join(map(str, most[:4]))} voxels", tuple(sorted(pieces))))
    total = sum(len(place.ids) for place in where)
    some = f", {large} of them in pieces of some size, the others with stray voxels"
    strays = "" if large == total else some if large else ", stray voxels in all of them"
    yield from finding(
        "pieces", "warning",
        f"{count(total, 'object')} in several pieces in {count(len(where), 'image')}{strays}",
        "if a piece is an object of its own, use --fix FOLDER --split-pieces", where,
    )  # fmt: skip


def _sizes(masks: Sequence[tuple[str, MaskFacts]]) -> Iterator[Finding]:
    sizes = np.concatenate([mask.objects.sizes for _, mask in masks] or [np.zeros(0, np.int64)])
    if not len(sizes):
        return
    median = float(np.median(sizes))
    tiny, huge = [], []
    for name, mask in masks:
        objects = mask.objects
        # What the border of the image cuts may be of any size.
        small = ((objects.sizes < SMALL * median) & ~objects.border) | (objects.sizes < FEWEST)
        tiny += _picked(name, mask, small)
        huge += _picked(name, mask, objects.sizes > LARGE * median)
    for code, where, what in (
        ("tiny", tiny, f"of fewer than {max(FEWEST, SMALL * median):.0f} voxels"),
        ("huge", huge, f"of more than {LARGE * median:.0f} voxels"),
    ):
        total = sum(len(place.ids) for place in where)
        yield from finding(
            code, "warning", f"{count(total, 'object')} {what}; the median is {median:.0f}", "look at them", where
        )


def _picked(name: str, mask: MaskFacts, chosen: NDArray[np.bool_]) -> list[Place]:
    if not chosen.any():
        return []
    objects = mask.objects
    voxels = ", ".join(str(n) for n in objects.sizes[chosen][:4])
    return [Place(name, f"{voxels} voxels", tuple(objects.ids[chosen].tolist()))]


def _conventions(masks: Sequence[tuple[str, MaskFacts]]) -> Iterator[Finding]:
    reserved = []
    for name, mask in masks:
        most = {"uint8": 255, "uint16": 65535}.get(mask.dtype)
        ids = mask.objects.ids
        if mask.kind == "L" and most is not None and len(ids) > 1 and ids[-1] == most and ids[-2] < most // 2:
            reserved.append(Place(name, f"id {most}, the next one is {ids[-2]}", (most,)))
    yield from finding(
        "ignore-label", "warning", f"{count(len(reserved), 'mask')} with an id that often means: ignore",
        "if so, set those voxels to 0 and mark them in void/, or to -1 if they are just not annotated", reserved,
    )  # fmt: skip
    blank = [Place(name) for name, mask in masks if mask.blank]
    yield from finding(
        "nothing-annotated", "warning", f"{count(len(blank), 'mask')} in which no voxel is annotated (-1 everywhere)",
        "leave the image out, or annotate an object: it teaches and judges nothing", blank,
    )  # fmt: skip
    partly = [Place(name, f"{100 * m.unannotated:.0f} %") for name, m in masks if m.unannotated and not m.blank]
    yield from finding(
        "unannotated", "note", f"{count(len(partly), 'mask')} with voxels that are not annotated (-1)",
        "losses and metrics leave them out", partly,
    )  # fmt: skip
