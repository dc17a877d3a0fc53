"""The page: one HTML text with its style and its script, and perhaps all that is shown."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from toolkit.files.plain_text import shown
from toolkit.report.markup import Markup, tag
from toolkit.view.scene import Scene

PARTS = (
    "data", "colours", "state", "image", "objects", "camera", "tiles", "pane", "marks", "filter", "table", "histogram",
    "controls", "keys", "main",
)  # fmt: skip
"""The files of the script, in the order in which they need each other."""


def _part(name: str) -> str:
    return files(__package__).joinpath("parts", name).read_text(encoding="utf8")


def _joined() -> str:
    """The modules as one: no name is given twice, so what one gives to another stands there already."""
    texts = [re.sub(r"^import .*\n", "", _part(f"{name}.js"), flags=re.MULTILINE) for name in PARTS]
    return '"use strict";\n' + re.sub(r"^export ", "", "\n".join(texts), flags=re.MULTILINE)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


MADE = "seg-toolkit, seg view"
"""What says in a page that we made it."""
STYLE, SCRIPT = _part("style.css"), _joined()
POLICY = (
    f"default-src 'none'; script-src {_digest(SCRIPT)}; style-src {_digest(STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses whatever the page might fetch or run beside its own script and address."""


def page(scene: Scene, data: Mapping[str, bytes] | None = None) -> str:
    """The HTML of a scene. With `data`, all that it asks for by name is in it, and it asks nobody."""
    policy = POLICY if data is None else POLICY.replace("connect-src 'self'; ", "")
    blocks = [
        tag("script", Markup(b64encode(block).decode()), type="text/plain", id=f"data-{name}")
        for name, block in (data or {}).items()
    ]
    about = {**scene.about(), "embedded": data is not None}
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=MADE),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", f"{scene.name} – seg view"),
        tag("style", Markup(STYLE)),
    ]
    body = [
        tag("noscript", "This page shows its image by a script, which this browser does not run."),
        tag("script", Markup(_text(about)), type="application/json", id="scene"),
        *blocks,
        tag("script", Markup(SCRIPT)),
    ]
    return "<!DOCTYPE html>\n" + tag("html", tag("head", *head), tag("body", *body), lang="en") + "\n"


def _text(data: object) -> str:
    """JSON that ends no element, whatever its texts are."""
    return json.dumps(_visible(data), ensure_ascii=True, default=list).replace("<", "\\u003c").replace("&", "\\u0026")


def _visible(data: Any) -> Any:
    """The same with every text as `shown`: a page is no place for marks that turn or hide what stands beside them."""
    if isinstance(data, str):
        return shown(data)
    if isinstance(data, Mapping):
        return {shown(key): _visible(value) for key, value in data.items()}
    return [_visible(value) for value in data] if isinstance(data, list | tuple) else data
