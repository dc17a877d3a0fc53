"""From wherever a model is into the registry."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError, UsageError
from toolkit.registry import fetch, resolve, zoo
from toolkit.registry.bioimageio import weights
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.gate import yaml
from toolkit.registry.gate.archive import Files, open_package
from toolkit.registry.package import RECIPE, TRAINING, WEIGHTS, is_run
from toolkit.registry.store import Entry, Store

RUN = (RECIPE, WEIGHTS, TRAINING)
"""What is kept of a training run."""


@dataclass(frozen=True)
class Wanted:
    """What the user wants an installed model to be called, and to remember of it."""

    name: str | None = None
    version: str | None = None
    aliases: tuple[str, ...] = ()
    notes: str = ""
    parent: str = ""


def install(
    source: str, wanted: Wanted, store: Store, sha256: str | None = None, tell: fetch.Tell = fetch.silent
) -> Entry:
    """Install the model at a path, an address or an id of the collection. None of its code is executed.

    `sha256` is that of a file, wherever it is. Raises `ModelError` if it is damaged or could never run, `InputError` if
    it cannot be had or is not what `sha256` says, `UsageError` if the name and version are those of another model.
    """
    with _acquired(source, store, sha256, tell) as path:
        files, entry = _described(path)
        entry = Entry(
            name=_slug(zoo_name(source) or entry.name) if wanted.name is None else wanted.name,
            version=_slug(entry.version) if wanted.version is None else wanted.version,
            sha256=files.digest,
            source=source
            if fetch.is_address(source)
            else str(Path(source).absolute())
            if path == Path(source)
            else source,
            licence=entry.licence,
            notes=wanted.notes,
            parent=wanted.parent,
        )
        return store.add(files, entry, wanted.aliases)


def next_version(name: str, store: Store) -> str:
    """The number after the highest one under which a model of this name is installed; 1 for the first."""
    numbers = [int(entry.version) for entry in store.entries() if entry.name == name and entry.version.isdecimal()]
    return str(max(numbers, default=0) + 1)


def zoo_name(source: str) -> str | None:
    """The id, if `source` is one of the collection."""
    return source if not resolve.is_path(source) and zoo.find(source) else None


@contextmanager
def _acquired(source: str, store: Store, sha256: str | None, tell: fetch.Tell) -> Iterator[Path]:
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UsageError("this is no sha256", sha256, "it has 64 of 0-9 and a-f")
    store.objects.own()
    downloads = store.home / "downloads"
    if fetch.is_address(source):
        with fetch.package(source, sha256, downloads, tell) as path:
            yield path
        return
    listed = zoo.find(source)
    if listed is not None and not Path(source).exists():
        if sha256 is not None:
            raise UsageError("only a file has a sha256", source, "leave out --sha256: the collection says it")
        with fetch.listed(listed, downloads, tell) as path:
            yield path
        return
    if not Path(source).exists() and not resolve.is_path(source):
        raise UsageError("no such file, folder, address or model of the collection", source, "see seg models search")
    if not source:
        raise UsageError("no model is named", "", "give a file, a folder, an address, or an id: seg models search")
    if sha256 is not None:
        _promised(Path(source), sha256)
    yield Path(source)


def _promised(path: Path, sha256: str) -> None:
    """Raise unless a file is what its sha256 says."""
    if not path.is_file():
        raise UsageError("only a file has a sha256", path, "leave out --sha256, or give the zip")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256.lower():
        raise InputError("the file is not what its sha256 says", path, f"it is {found}: ask its author for another")


def _described(path: Path) -> tuple[Files, Entry]:
    """The files to keep, and what the model says of itself; everything that can be checked is."""
    if is_run(path):
        files = open_package(path)
        files = files.only(name for name in RUN if name in files)
        files.read(WEIGHTS)
        name = str(yaml.parse(files.read(RECIPE), path / RECIPE).get("name") or path.name)
        return files, Entry(name, "1", files.digest)
    opened = Opened.at(path)
    about, files = opened.description, opened.files
    for file in about.files():
        files.read(file.name, file.sha256)
    if about.toolkit is None:
        weights.choose(about, files, trusted=lambda _: True)
    return files, Entry(about.name, about.version, files.digest, licence=about.licence)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:128].strip("-.") or "model"
