"""The charts of the page: S over thresholds, fates, sizes, IoU; and the keys to read them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toolkit.evaluation.attribution import KINDS, Fates
from toolkit.evaluation.evaluate import Evaluation
from toolkit.report.chart import Bars, Curve, curves, histogram, stack
from toolkit.report.markup import Markup, tag
from toolkit.report.numbers import voxels

LOOKS = {"matched": "good", "missed": "bad", "spurious": "bad", "split": "split", "merged": "merge", "ignored": "mute"}


def threshold_curve(found: Evaluation) -> Markup | None:
    """S against the IoU threshold, mean with its interval and pooled; None if S was not asked for."""
    keys = sorted(key for key in found.summary if key.startswith("S@"))
    if len(keys) < 2:
        return None
    at = [float(key.partition("@")[2]) for key in keys]
    entries = [found.summary[key] for key in keys]
    means, pooled = ([(x, e[which]) for x, e in zip(at, entries, strict=True)] for which in ("mean", "pooled"))
    lines = [
        Curve("mean over images", means, "true", [e["interval"] for e in entries]),
        Curve("pooled over objects", pooled, "mute", dashed=True),
    ]
    key = [("rule true", "mean over images, with 95 % interval"), ("rule broken mute", "pooled over objects")]
    if found.other:
        others = [(x, e["other"]["mean"]) for x, e in zip(at, entries, strict=True)]
        lines.insert(1, Curve("the other prediction", others, "seen", [e["other"]["interval"] for e in entries]))
        key.insert(1, ("rule seen", "the other prediction, mean"))
    chart = curves(lines, "S at rising IoU thresholds", "IoU threshold", "S")
    return _figure("S at rising IoU thresholds", chart, key, "A steep fall at high thresholds means loose outlines.")


def fates(found: Evaluation) -> Markup:
    """What became of the true and of the predicted objects."""
    rows = []
    key: dict[str, list[str]] = {}
    lost = {"true": "missed", "predicted": "spurious"}
    for name, sides in zip(lost, _sides(found), strict=True):
        kinds = ("matched", lost[name], "split", "merged", "ignored")
        parts = [(kind, _number(sides, kind), LOOKS[kind]) for kind in kinds]
        rows.append((f"{sum(n for _, n, _ in parts):,} {name} objects", parts))
        for kind, n, _ in parts:
            if n:
                key.setdefault(kind, []).append(f"{n:,} {name}")
    words = [(LOOKS[kind], f"{kind}: {', '.join(numbers)}") for kind, numbers in key.items()]
    note = (
        "Matched one to one. Split: in pieces, none of which matches. Merged: swallowed together with another object. "
        "Of the predictions, split ones are extra pieces of a true object, merged ones swallow several and match none."
    )
    chart = stack(rows, "Fate of the objects")
    return _figure(f"Fate of the objects at IoU ≥ {found.percent / 100:.2f}", chart, words, note)


def sizes(found: Evaluation) -> Markup:
    """How large true and predicted objects are, on a logarithmic scale."""
    true, seen = (np.concatenate([side.sizes for side in sides]) for sides in _sides(found))
    both = np.concatenate([true, seen]) if len(true) + len(seen) else np.ones(1, np.int64)
    low, high = np.floor(np.log2(both.min()) * 2) / 2, np.ceil(np.log2(both.max() + 1) * 2) / 2
    edges = 2 ** np.arange(low, max(high, low + 2) + 0.5, 0.5)
    labels = [f"{voxels(a)} to {voxels(b)} voxels" for a, b in pairwise(edges)]
    every = max(1, round(len(edges) / 7))
    ticks = [(float(k), voxels(edges[k])) for k in range(0, len(edges), every)]
    series = [
        Bars(name, np.histogram(x, edges)[0].tolist(), look, hollow)
        for name, x, look, hollow in (("true", true, "true", False), ("predicted", seen, "seen", True))
    ]
    chart = histogram(series, labels, ticks, "Sizes of the objects", "voxels, logarithmic")
    return _figure("Sizes", chart, [("faint true", "true"), ("box seen", "predicted")], "")


def ious(found: Evaluation) -> Markup:
    """IoU of each true object with its match, or the best one that it has."""
    sides = [image.true for image in found.images]
    best = np.concatenate([side.iou for side in sides])
    matched = np.concatenate([side.kind == KINDS.index("matched") for side in sides])
    edges = np.arange(21) / 20
    # An IoU of 1 belongs to the last bin, as numpy's histogram has it.
    series = [
        Bars(name, np.histogram(best[where], edges)[0].tolist(), look)
        for name, where, look in (("matched", matched, "good"), ("unmatched", ~matched, "bad"))
    ]
    labels = [f"IoU {a:.2f} to {b:.2f}" for a, b in pairwise(edges)]
    ticks = [(4.0 * k, f"{k / 5:.1f}") for k in range(6)]
    chart = histogram(series, labels, ticks, "IoU of the true objects", "IoU with the match, or the best there is")
    return _figure("IoU of the true objects", chart, [("faint good", "matched"), ("faint bad", "unmatched")], "")


def legend() -> Markup:
    """How the pictures are to be read."""
    return _key(
        [
            ("t", "true object"),
            ("p", "predicted object, dashed"),
            ("rule mute", "bold: what is wrong; thin: its surroundings"),
        ]
    )


def rules(found: Evaluation) -> Markup:
    """What holds for all values."""
    percent = f"{found.percent / 100:.2f}"
    text = (
        "Objects are matched one to one, as many as possible, at the IoU threshold; IoU is compared in whole numbers "
        "of voxels. Void voxels count nowhere; an unmatched object that lies with more than half of its voxels in "
        "void or, for a prediction, in unannotated voxels is ignored. Intervals are 95 % percentile intervals of a "
        f"bootstrap over images with {found.samples:,} samples, seed {found.seed}. Fates are those at IoU ≥ {percent}: "
        "a true object is split if it is unmatched and more than half of each of two or more predictions lies in it, "
        "merged if it is unmatched and lies by more than half in a prediction that swallows two or more so."
    )
    return tag("p", text, class_="note")


def _number(sides: list[Fates], kind: str) -> int:
    return sum(int((side.kind == KINDS.index(kind)).sum()) for side in sides)


def _sides(found: Evaluation) -> tuple[list[Fates], list[Fates]]:
    return [image.true for image in found.images], [image.predicted for image in found.images]


def _figure(name: str, chart: Markup, key: list[tuple[str, str]], note: str) -> Markup:
    caption = (tag("figcaption", note),) if note else ()
    return tag("figure", tag("h3", name), chart, _key(key), *caption, class_="card")


def _key(items: list[tuple[str, str]]) -> Markup:
    chips = (tag("li", tag("span", class_=f"chip {look}", aria_hidden="true"), text) for look, text in items)
    return tag("ul", *chips, class_="key")
