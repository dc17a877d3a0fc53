"""HTML and SVG elements as strings, with everything escaped that is not markup already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from toolkit.files.plain_text import shown


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = frozenset({"meta", "link", "br", "img", "image", "path", "line", "rect", "circle", "polyline", "polygon"})
"""Elements without content."""


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """`<name attributes>content</name>`. `class_` is `class`, `stroke_width` is `stroke-width`; None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not content:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(content)}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    """The parts after each other; strings that are no `Markup` are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(_text(part)) for part in parts))


def _text(value: object) -> str:
    """Numbers short: SVG coordinates need no more than two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else shown(value)
