"""The worst images and the worst objects, as pictures with captions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from toolkit.evaluation.attribution import KINDS, Fates
from toolkit.evaluation.evaluate import Evaluation, Pair
from toolkit.report.markup import Markup, join, tag
from toolkit.report.numbers import count, three, voxels
from toolkit.report.picture import Case

IMAGES, OBJECTS, SAME = 6, 6, 2
"""Worst images shown; objects of each kind shown; of these at most so many of one image while others have some."""

GROUPS = (
    ("true", "missed", "Missed objects", "True objects that no prediction matches."),
    ("predicted", "spurious", "Spurious objects", "Predictions that match nothing."),
    ("true", "split", "Split objects", "True objects cut into several predictions."),
    ("predicted", "split", "Extra pieces", "Predictions that are a piece of a true object and match nothing."),
    ("true", "merged", "Swallowed objects", "True objects that share one prediction with others and lost it to them."),
    ("predicted", "merged", "Merged objects", "Predictions that swallow several true objects and match none."),
    ("true", "matched", "Loosest matches", "Matched objects with the lowest IoU."),
)


def worst_images(found: Evaluation, pairs: Sequence[Pair], key: str) -> Markup:
    """The worst images by `key`, worst first; errors are drawn bold."""
    values = found.values(key)
    order = [k for k in found.worst(key) if found.images[k].true.errors + found.images[k].predicted.errors][:IMAGES]
    cells = []
    for k in order:
        case = Case.of(pairs[k], found.images[k])
        box = case.plane()
        where = f", plane z = {box.start[0]}" if len(box.start) == 3 else ""
        mistakes = _mistakes(found.images[k].true, found.images[k].predicted)
        caption = tag(
            "figcaption", tag("b", case.name), f" {key} {three(float(values[k]))}{where}", tag("br"), mistakes
        )
        about = f"{case.name}: {key} {three(float(values[k]))}, {mistakes}"
        cells.append(tag("li", tag("figure", case.draw(box, about), caption), class_="card"))
    if not cells:
        return tag("p", "No image has an error.", class_="note")
    return tag("ul", *cells, class_="gallery wide")


def worst_objects(found: Evaluation, pairs: Sequence[Pair]) -> Markup:
    """For each kind of error its largest objects, and the matched objects that fit worst."""
    chosen = [_choose(found, side, kind) for side, kind, _, _ in GROUPS]
    wanted: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for group, items in enumerate(chosen):
        for image, index in items:
            wanted[image].append((group, index))
    cells: dict[tuple[int, int, int], Markup] = {}
    for image, items in wanted.items():
        case = Case.of(pairs[image], found.images[image])
        for group, index in items:
            cells[group, image, index] = _cell(case, *GROUPS[group][:2], index)
    parts = []
    for group, (_, _, title, words) in enumerate(GROUPS):
        if chosen[group]:
            total = _total(found, *GROUPS[group][:2])
            shown = f" The {len(chosen[group])} shown of {total:,}." if total > len(chosen[group]) else ""
            parts += [tag("h3", title), tag("p", words + shown, class_="note")]
            parts.append(tag("ul", *(cells[group, i, k] for i, k in chosen[group]), class_="gallery"))
    return join(parts) if parts else tag("p", "There are no objects.", class_="note")


def _cell(case: Case, side: str, kind: str, index: int) -> Markup:
    true = side == "true"
    objects, fates = (case.true, case.true_fates) if true else (case.predicted, case.predicted_fates)
    box = case.around(objects, index)
    where = f", z = {box.start[0]}" if len(box.start) == 3 else ""
    size = voxels(int(fates.sizes[index]))
    words = f"{side} {fates.ids[index]}, IoU {three(float(fates.iou[index]))}, {size} voxels{where}"
    caption = tag("figcaption", tag("b", case.name), tag("br"), words)
    about = f"{kind} {side} object {fates.ids[index]} of {case.name}"
    bold = {(side, int(fates.ids[index]))}
    if fates.partner[index]:
        bold.add(("predicted" if true else "true", int(fates.partner[index])))
    return tag("li", tag("figure", case.draw(box, about, bold), caption), class_="card")


def _choose(found: Evaluation, side: str, kind: str) -> list[tuple[int, int]]:
    """`(image, object)`, worst first: lowest IoU of the matched, largest of the others; spread over images."""
    every = []
    for at, image in enumerate(found.images):
        fates = image.true if side == "true" else image.predicted
        for k in np.flatnonzero(fates.kind == KINDS.index(kind)).tolist():
            rank = float(fates.iou[k]) if kind == "matched" else -float(fates.sizes[k])
            every.append((rank, at, k))
    first: list[tuple[float, int, int]] = []
    rest: list[tuple[float, int, int]] = []
    seen: dict[int, int] = defaultdict(int)
    for item in sorted(every):
        seen[item[1]] += 1
        (first if seen[item[1]] <= SAME else rest).append(item)
    return [(at, k) for _, at, k in (first + rest)[:OBJECTS]]


def _total(found: Evaluation, side: str, kind: str) -> int:
    sides = (image.true if side == "true" else image.predicted for image in found.images)
    return sum(int((fates.kind == KINDS.index(kind)).sum()) for fates in sides)


def _mistakes(true: Fates, seen: Fates) -> str:
    """Such as `3 missed, 1 merged, 2 spurious; 40 true objects, 39 predicted`."""
    sides = ((true, "missed"), (true, "split"), (true, "merged"), (seen, "spurious"))
    numbers = [(int((fates.kind == KINDS.index(kind)).sum()), kind) for fates, kind in sides]
    kinds = ", ".join(f"{n} {kind}" for n, kind in numbers if n) or "extra pieces only"
    return f"{kinds}; {count(len(true.ids), 'true object')}, {len(seen.ids):,} predicted"
