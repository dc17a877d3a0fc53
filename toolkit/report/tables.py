"""The summary as cards and as a table, and the words that explain it."""

from __future__ import annotations

from typing import Any

from toolkit.evaluation.evaluate import Evaluation
from toolkit.report.markup import Markup, join, tag
from toolkit.report.numbers import count, span, three

HEADLINES = ("S@0.50", "avS@.5:.05:.95", "F1@0.50", "PQ", "AP_coco", "SBD", "FISBe", "VOI")


def cards(found: Evaluation) -> Markup:
    """The four values that say most, large."""
    keys = [key for key in HEADLINES if key in found.summary][:4] or list(found.summary)[:4]
    return tag("ul", *(_card(key, found.summary[key], len(found.images)) for key in keys), class_="cards")


def _card(key: str, entry: dict[str, Any], images: int) -> Markup:
    which = "mean" if entry["mean"] is not None or entry["pooled"] is None else "pooled"
    more = [f"mean of {count(images, 'image')}" if which == "mean" else "pooled over objects"]
    if entry["interval"]:
        more.append(f"95 % interval {span(entry['interval'])}")
    if which == "mean" and entry["pooled"] is not None:
        more.append(f"pooled over objects {three(entry['pooled'])}")
    if "difference" in entry:
        more.append(f"{three(entry['difference'][which], sign=True)} against the other")
    return tag(
        "li",
        tag("div", key, class_="name"),
        tag("div", three(entry[which]), class_="value"),
        *(tag("div", text, class_="more") for text in more),
        class_="card",
    )


def summary(found: Evaluation) -> Markup:
    """All values."""
    compared = bool(found.other)
    head = ["value", "mean", "95 % interval", "pooled", "95 % interval", "images"]
    head += ["other", "difference", "95 % interval"] if compared else []
    rows, before = [], None
    for key, entry in found.summary.items():
        family = key.partition("@")[0]
        ends = span(entry["interval"]) if entry["mean"] is not None else ""
        cells = (three(entry["mean"]), ends, three(entry["pooled"]), span(entry["pooled_interval"]), entry["images"])
        row = [tag("th", key, scope="row"), *(tag("td", cell) for cell in cells)]
        if compared:
            row += _change(entry)
        rows.append(tag("tr", *row, class_="first" if before not in (None, family) else None))
        before = family
    caption = "Mean over images where the value is defined, and pooled over objects; – is undefined."
    if compared:
        caption += " Differences are this minus the other; bold where the interval leaves out 0."
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *(tag("th", text, scope="col") for text in head))),
        tag("tbody", *rows),
    )
    return tag("div", table, class_="scroll card", tabindex="0", role="region", aria_label="All values")


def _change(entry: dict[str, Any]) -> list[Markup]:
    which = "mean" if entry["mean"] is not None or entry["pooled"] is None else "pooled"
    change = entry["difference"]
    ends = change["interval"]
    sure = ends is not None and (ends[0] > 0 or ends[1] < 0)
    return [
        tag("td", three(entry["other"][which])),
        tag("td", three(change[which], sign=True), class_="sure" if sure else None),
        tag("td", span(ends)),
    ]


def images(found: Evaluation, keys: tuple[str, ...]) -> Markup:
    """One row for each image, worst first by the first of `keys`."""
    order = found.worst(keys[0])
    rows = [
        tag(
            "tr",
            tag("th", found.images[k].name, scope="row"),
            tag("td", f"{len(found.images[k].true.ids):,}"),
            tag("td", f"{len(found.images[k].predicted.ids):,}"),
            *(tag("td", three(float(found.values(key)[k]))) for key in keys),
        )
        for k in order
    ]
    head = ("image", "true", "predicted", *keys)
    table = tag(
        "table",
        tag("caption", f"Every image, worst {keys[0]} first."),
        tag("thead", tag("tr", *(tag("th", text, scope="col") for text in head))),
        tag("tbody", *rows),
    )
    region = tag("div", table, class_="scroll card", tabindex="0", role="region", aria_label="Every image")
    return tag("details", tag("summary", f"Every image ({len(order):,})"), region)


def glossary(found: Evaluation) -> Markup:
    """What each metric is, from its own docstring and settings."""
    parts: list[Markup] = []
    for metric in found.metrics:
        words = " ".join((type(metric).__doc__ or "").split()).replace("`", "")
        settings = {key: value for key, value in metric.model_dump(mode="json").items() if key != "kind"}
        listed = ", ".join(f"{key.replace('_', ' ')} {_setting(value)}" for key, value in settings.items())
        parts.append(tag("dt", metric.kind))
        parts.append(tag("dd", words, *(tag("div", f"Here: {listed}.") for _ in range(bool(listed)))))
    return tag("dl", join(parts))


def _setting(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
