"""What mkdocs asks while it builds the site: pages that lie above this folder, and where links to others lead."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
ABOVE = {"README.md": "index.md", "ARCHITECTURE.md": "architecture.md", "CONTRIBUTING.md": "contributing.md",
         "CHANGELOG.md": "changelog.md", "evaluation/README.md": "evaluation.md"}  # fmt: skip
"""Files of the repository that are pages of the site, and how they are called there."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from above."""
    for source, name in ABOVE.items():
        text = (ROOT / source).read_text(encoding="utf8")
        files.append(File.generated(config, name, content=_led(text, posixpath.dirname(source), name)))
    names = sorted(path.stem for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    rows = "".join(f"- [{name[5:].replace('-', ' ')}](decisions/{name}.md)\n" for name in names)
    files.append(File.generated(config, "decisions.md", content=f"# Decisions\n\n{rows}"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of the pages that lie here."""
    source = page.file.src_uri
    return markdown if source in ABOVE.values() else _led(markdown, posixpath.join("docs", posixpath.dirname(source)), source)


def _led(text: str, folder: str, page: str) -> str:
    """Links of a page called `page`, written in `folder` of the repository: those to pages of the site lead there,
    those to other files of the repository are names."""

    def one(match: re.Match[str]) -> str:
        mark, said, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or "://" in path or target.startswith("mailto:"):
            return match.group(0)
        full = posixpath.normpath(posixpath.join(folder, path))
        inside = ABOVE.get(full) or (full.removeprefix("docs/") if full.startswith("docs/") else None)
        if full == "docs/decisions":
            inside = "decisions.md"
        if inside is None or not (inside in ABOVE.values() or inside == "decisions.md" or (ROOT / full).is_file()):
            return f"`{full}`" if said.strip("`") == path else f"{said} (`{full}`)"
        if inside.endswith(".py"):
            return said
        return f"{mark}[{said}]({posixpath.relpath(inside, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    return LINK.sub(one, text)
