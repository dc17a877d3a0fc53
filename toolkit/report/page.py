"""The page: headline values, curves, fates of the objects, the worst of them, all values, what they mean."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from toolkit.evaluation.evaluate import Evaluation, Pair
from toolkit.report import gallery, plots, tables
from toolkit.report.markup import Markup, tag
from toolkit.report.numbers import count

MADE = "seg-toolkit, seg evaluate"
"""What says in a page that we made it."""
POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
"""The browser itself refuses whatever the page might fetch or run, and any style but the page's own."""


def page(found: Evaluation, pairs: Sequence[Pair], predicted: str, truth: str) -> str:
    """The HTML of an evaluation of `pairs`, which are loaded again for the pictures of the worst images and objects.

    `predicted` and `truth` say where the two came from.
    """
    title = f"{Path(predicted).name} against {Path(truth).name}"
    true = sum(len(image.true.ids) for image in found.images)
    seen = sum(len(image.predicted.ids) for image in found.images)
    lead = f"{count(len(found.images), 'image')}, {count(true, 'true object')}, {count(seen, 'predicted object')}."
    origin = f"Predictions: {predicted}. Truth: {truth}."
    if found.nothing:
        lead += (
            f" {count(len(found.nothing), 'image has', 'images have')} no object on either side; S counts them as 1."
        )
    sections = _sections(found, pairs)
    links = tag("ul", *(tag("li", tag("a", name, href=f"#{mark}")) for mark, name, _ in sections))
    content = (tag("section", tag("h2", name, id=mark), *parts, aria_labelledby=mark) for mark, name, parts in sections)
    body = [
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag(
            "header",
            tag("h1", title),
            tag("p", lead, class_="lead"),
            tag("p", origin, class_="note"),
            tag("nav", links, aria_label="Sections"),
        ),
        tag("main", *content, id="content"),
        tag("footer", f"seg evaluate, seg-toolkit {version('seg-toolkit')}"),
    ]
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=MADE),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY.format(digest)),
        tag("title", title),
        tag("style", Markup(style)),
    ]
    return "<!DOCTYPE html>\n" + tag("html", tag("head", *head), tag("body", *body), lang="en") + "\n"


def _sections(found: Evaluation, pairs: Sequence[Pair]) -> list[tuple[str, str, list[Markup]]]:
    """`(anchor, heading, content)`."""
    first = next((key for key in ("S@0.50", *found.keys) if key in found.keys), None)
    out = [("values", "At a glance", [tables.cards(found)])]
    threshold = plots.threshold_curve(found)
    charts = [plots.fates(found), *([threshold] if threshold else []), plots.sizes(found), plots.ious(found)]
    out.append(("charts", "Where it succeeds and fails", [tag("div", *charts, class_="two")]))
    if first is not None:
        out.append(("images", "Worst images", [plots.legend(), gallery.worst_images(found, pairs, first)]))
    out.append(("objects", "Worst objects", [plots.legend(), gallery.worst_objects(found, pairs)]))
    every = [tables.summary(found)]
    if first is not None:
        more = ("S@0.75", "F1@0.50", "PQ", "AJI", "SBD", "VOI")
        shown = (first, *(key for key in more if key in found.keys and key != first))
        every.append(tables.images(found, shown))
    out.append(("table", "All values", every))
    out.append(("meaning", "What the values mean", [plots.rules(found), tables.glossary(found)]))
    return out
