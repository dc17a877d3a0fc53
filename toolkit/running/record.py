"""The record of a run: what was done with what, enough to repeat it and to tell whether something has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from toolkit.pipeline.elsewhere import Model
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.gate.process import walls
from toolkit.registry.package import ModelPackage

SCHEMA = "toolkit.run/1"
SAMPLE = 1000
"""Files of a folder that are looked at to tell whether it has changed."""


def record(
    package: ModelPackage, model: Model, options: dict[str, Any], images: list[dict[str, Any]]
) -> dict[str, Any]:
    """`run.json` without its times; paths are absolute, so that it can be repeated from anywhere."""
    path = Path(model.reference)
    return {
        "schema": SCHEMA,
        "model": {
            "reference": str(path.absolute()) if path.exists() else model.reference,
            "owner": model.owner,
            "name": package.name,
            "sha256": package.sha256,
            "notes": list(package.notes),
            **({"sandbox": walls().plain()} if package.trusted else {}),
        },
        "cite": list(package.recipe.citations),
        "recipe": package.recipe.plain(),
        "options": dict(options),
        "device": model.device,
        "engine": model.engine.plain(),
        "versions": versions(),
        "images": [dict(image) for image in images],
    }


def versions() -> dict[str, str]:
    """Versions of the toolkit, its plugins, Python and the libraries on which the result depends."""
    ours = {p.distribution: p.version for p in Catalogue().plugins}
    return ours | {"python": sys.version.split()[0]} | {name: version(name) for name in ("torch", "numpy", "monai")}


def stamp(path: Path) -> str:
    """Changes when a file changes: its size and time; of a folder those of its first `SAMPLE` files."""
    if not path.is_dir():
        return _about(path)
    return sha256("".join(f"{p}{_about(p)}" for p in islice(_files(path), SAMPLE)).encode()).hexdigest()


def _about(path: Path) -> str:
    try:
        about = path.stat()
    except FileNotFoundError:  # whoever reads it will say so
        return ""
    return f"{about.st_size},{about.st_mtime_ns}"


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(files))
