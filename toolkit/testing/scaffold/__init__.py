"""A new plugin: a distribution that is green at once, to be changed from there. `files/` holds what it is made of."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, get_args

from toolkit.errors import UsageError
from toolkit.files import whole
from toolkit.plugins.catalogue import Catalogue

Kind = Literal["method", "network", "loss", "postprocessor", "metric", "classic"]
EVERY = "every"
NAME = "plugin_name"
HOOK = "seg_"
TRAIN = "$ seg train --plugin {name} --data DATA -o run --minutes 30 && seg export run -o {name}.zip"


HOMES = """Defaults for users stand in `toolkit_{name}/recipes/`; licence, citation and scores of a model in the card
beside its recipe.
"""


@dataclass(frozen=True)
class About:
    """What a kind of plugin is, what it needs beside the toolkit, and how it is used."""

    summary: str
    needs: tuple[str, ...]
    use: str


ABOUT: dict[Kind, About] = {
    "method": About(
        "A method: foreground and distance are learnt, a watershed divides.",
        ("edt>=3.1", "scikit-image>=0.26", "scipy>=1.17", "torch>=2.8"), TRAIN),
    "network": About("A network that carries any heads.", ("torch>=2.8",), TRAIN),
    "loss": About("A loss: foreground and rims are learnt.", ("scikit-image>=0.26", "torch>=2.8"), TRAIN),
    "postprocessor": About(
        "A post-processor: objects from foreground and boundary.",
        ("numpy>=2.4", "scikit-image>=0.26", "scipy>=1.17"), TRAIN),
    "metric": About("A metric.", (), "$ seg evaluate PREDICTED TRUTH --metric {name}"),
    "classic": About(
        "A classic method: no network, no weights, no training.",
        ("scikit-image>=0.26", "scipy>=1.17"), "$ seg run IMAGE --plugin {name}"),
}  # fmt: skip


def write(folder: Path, kind: Kind, catalogue: Catalogue) -> tuple[Path, ...]:
    """Write a distribution into `folder`, which must not exist and is named as the plugin; gives its files.

    Raises `UsageError` for a kind that there is not, and for a name that is no identifier or is taken.
    """
    name = folder.name
    if kind not in get_args(Kind):
        raise UsageError("no such kind of plugin", f"--kind {kind}", f"choose one of {', '.join(get_args(Kind))}")
    if not re.fullmatch("[a-z]([a-z0-9_]*[a-z0-9])?", name) or name.startswith(HOOK) or name in _taken():
        better = re.sub("[^a-z0-9]+", "_", name.lower()).removeprefix(HOOK).lstrip("_0123456789").rstrip("_")
        better = f"my_{better or 'method'}" if not better or better in _taken() else better
        raise UsageError("this is no name of a plugin", name, f"use a-z, 0-9 and _, such as {better}")
    taken = next((p for p in catalogue.plugins if p.name == name), None)
    if taken is not None:
        raise UsageError("a plugin has this name", f"{name} (of {taken.distribution})", "choose another")
    if folder.exists() or folder.is_symlink():
        raise UsageError("this exists", folder, "choose another name, or another place with -o")
    about = ABOUT[kind]
    words = {
        "seg-toolkit-plugin-name": f"seg-toolkit-{name.replace('_', '-')}",
        NAME: name,
        "PluginName": "".join(part.capitalize() for part in name.split("_")) or name,
        "SUMMARY": about.summary,
        "DEPENDENCIES": "".join(f', "{need}"' for need in about.needs),
        "HOMES": "" if kind == "metric" else HOMES.format(name=name),
        "USE": about.use.format(name=name),
    }
    source = files(__name__) / "files"
    with whole.folder(folder) as made:
        found = [*_written(source / EVERY, made, words), *_written(source / kind, made, words)]
    return tuple(folder / path.relative_to(made) for path in found)


def _taken() -> frozenset[str]:
    """Names that mean something else in Python, or in the modules that are written here."""
    return frozenset({*keyword.kwlist, *dir(builtins), "head", "hookimpl", "path"})


def _written(source: Traversable, folder: Path, words: dict[str, str]) -> list[Path]:
    """The files below `source`, without the `.in` that keeps them from being anything here."""
    folder.mkdir(exist_ok=True)
    found = []
    for item in sorted(source.iterdir(), key=lambda i: i.name):
        target = folder / _said(item.name, words).removesuffix(".in")
        if item.is_dir():
            found += _written(item, target, words)
        else:
            target.write_text(_said(item.read_text(encoding="utf8"), words), encoding="utf8")
            found.append(target)
    return found


def _said(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text
