"""Installed models: names and versions in SQLite, files in folders named by their content.

An acknowledged entry survives a crash at any point and any number of concurrent processes: files are written to a
folder of their own, synced and renamed into place, and the row follows in the same transaction as the rename. The
tables are there before the first package is: packages without them mean a registry that was lost, not a new one.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import StorageError, UsageError, nearest
from toolkit.registry.gate.archive import Files
from toolkit.registry.objects import DATABASE, LOST, Objects, disk

NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,127}")
PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""
COLUMNS = ("name", "version", "sha256", "source", "licence", "notes", "parent", "added")
SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    name TEXT, version TEXT, sha256 TEXT NOT NULL, source TEXT, licence TEXT, notes TEXT, parent TEXT, added TEXT,
    PRIMARY KEY (name, version));
CREATE TABLE IF NOT EXISTS aliases (name TEXT, alias TEXT, version TEXT NOT NULL, PRIMARY KEY (name, alias));
CREATE TABLE IF NOT EXISTS scores (
    name TEXT, version TEXT, metric TEXT, value REAL, PRIMARY KEY (name, version, metric));
CREATE TABLE IF NOT EXISTS trusted (sha256 TEXT PRIMARY KEY, files TEXT, added TEXT);
"""

TABLES = {"models", "aliases", "scores", "trusted"}


@dataclass(frozen=True)
class Entry:
    """An installed model. `sha256` is the digest of its package, `parent` the model that it was trained from."""

    name: str
    version: str
    sha256: str
    source: str = ""
    licence: str = "unknown"
    notes: str = ""
    parent: str = ""
    added: str = ""
    aliases: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"


class Store:
    """The registry in one folder (default: `SEG_HOME`, else the user's data folder). Looking creates nothing."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or usual_home()
        self.objects = Objects(self.home)

    @property
    def _database(self) -> Path:
        return self.home / DATABASE

    def entries(self) -> list[Entry]:
        """All models, by name and then as they were added."""
        with self._reading() as db:
            return [] if db is None else _entries(db, "", ())

    def find(self, reference: str) -> Entry | None:
        """The model `name`, `name@version` or `name@alias`; a bare name is its alias `best`, else the latest."""
        name, _, which = reference.partition("@")
        with self._reading() as db:
            if db is None:
                return None
            found = _entries(db, "WHERE name = ?", (name,))
        chosen = [e for e in found if which in (e.version, *e.aliases)] if which else found
        best = [e for e in found if "best" in e.aliases]
        return (best[-1] if best and not which else chosen[-1]) if chosen else None

    def get(self, reference: str) -> Entry:
        """Like `find`; raises `UsageError` with the nearest name."""
        found = self.find(reference)
        if found is None:
            known = [r for e in self.entries() for r in (e.name, e.reference, *(f"{e.name}@{a}" for a in e.aliases))]
            raise UsageError("no such installed model", reference, f"{nearest(reference, known)} (seg models list)")
        return found

    def folder(self, entry: Entry) -> Path:
        """The files of a model, each of which is checked: raises `ModelError` if one is not what was installed."""
        return self.objects.checked(entry.sha256, entry.reference)

    def add(self, files: Files, entry: Entry, aliases: Iterable[str] = ()) -> Entry:
        """Install the files of a package under `entry`'s name and version; doing it twice is doing it once.

        Raises `UsageError` if that name and version is another package, `StorageError` if the disk is full or busy.
        """
        for what, text in (("name", entry.name), ("version", entry.version), *(("alias", a) for a in aliases)):
            if not NAME.fullmatch(text):
                raise UsageError(f"this is not a {what}", text or "(empty)", "use up to 128 of a-z, 0-9 and . _ + -")
        row = (entry.name, entry.version, files.digest, entry.source, entry.licence, entry.notes, entry.parent, _now())
        with disk(self.home), self.objects.staged(files) as stage, self._writing() as db:
            db.execute("INSERT OR IGNORE INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            there = _entries(db, "WHERE name = ? AND version = ?", row[:2])[0]
            if there.sha256 != files.digest:
                raise UsageError("another model has this name and version", there.reference,
                                 "choose --name or --version, or remove it")  # fmt: skip
            for alias in aliases:
                db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (entry.name, alias, entry.version))
            self.objects.place(stage, files)
            return _entries(db, "WHERE name = ? AND version = ?", row[:2])[0]

    def remove(self, reference: str) -> Entry:
        """Forget a model; `gc` frees its files. Raises `UsageError` if there is none."""
        entry = self.get(reference)
        with self._writing() as db:
            for table in ("models", "aliases", "scores"):
                db.execute(f"DELETE FROM {table} WHERE name = ? AND version = ?", (entry.name, entry.version))  # noqa: S608
        return entry

    def note(
        self,
        reference: str,
        notes: str | None = None,
        alias: str | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> Entry:
        """Change what is said of a model: its notes, one more alias, scores."""
        entry = self.get(reference)
        if alias is not None and not NAME.fullmatch(alias):
            raise UsageError("this is not an alias", alias or "(empty)", "use up to 128 of a-z, 0-9 and . _ + -")
        key = (entry.name, entry.version)
        with self._writing() as db:
            if notes is not None:
                db.execute("UPDATE models SET notes = ? WHERE name = ? AND version = ?", (notes, *key))
            if alias is not None:
                db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (entry.name, alias, entry.version))
            for metric, value in (scores or {}).items():
                db.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", (*key, metric, value))
        return self.get(entry.reference)

    def trust(self, sha256: str, about: Mapping[str, Any]) -> None:
        """Record that the user trusts the code of the package with this digest, and what was said of it then: its
        files, and what holds it in."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?)", (sha256, json.dumps(dict(about)), _now()))

    def trusts(self, sha256: str) -> bool:
        """Whether the user trusts the package with this digest."""
        with self._reading() as db:
            return db is not None and bool(db.execute("SELECT 1 FROM trusted WHERE sha256 = ?", (sha256,)).fetchall())

    def gc(self) -> list[tuple[str, int]]:
        """Delete packages that no name refers to, and what killed processes left: their digests and bytes.

        Raises `StorageError` where the registry is damaged: what it names is not known then.
        """
        with self._writing() as db:
            for (said,) in db.execute("PRAGMA integrity_check(1)").fetchall():
                if said != "ok":
                    raise sqlite3.DatabaseError(said)
            return self.objects.prune({entry.sha256 for entry in _entries(db, "", ())})

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        filled = self.objects.any()  # before the registry is looked at, which had its tables before
        with disk(self.home):
            if not self._database.is_file():
                self._new(filled)
                yield None
                return
            with closing(_connect(self._database)) as db:
                begun = _begun(db)
                if not begun:
                    self._new(filled)
                yield db if begun else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its first statement on."""
        with self._reading() as there:
            begun = there is not None
        with disk(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
            with closing(_connect(self._database)) as db:
                if not begun:
                    for statement in SCHEMA.split(";"):
                        db.execute(statement)
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")

    def _new(self, filled: bool) -> None:
        """Refuse a registry that was lost: it would say that its packages are nobody's."""
        if filled:
            raise StorageError("the registry of the installed models is lost, and their packages are there",
                               self._database, LOST)  # fmt: skip


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    db.execute("PRAGMA synchronous = EXTRA")
    return db


def _begun(db: sqlite3.Connection) -> bool:
    """Whether all tables are there; the first writer may not have committed yet."""
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return there >= TABLES


def _entries(db: sqlite3.Connection, where: str, values: tuple[str, ...]) -> list[Entry]:
    rows = db.execute(f"SELECT {', '.join(COLUMNS)} FROM models {where} ORDER BY name, rowid", values).fetchall()  # noqa: S608
    aliases = db.execute("SELECT name, version, alias FROM aliases ORDER BY alias").fetchall()
    scores = db.execute("SELECT name, version, metric, value FROM scores ORDER BY metric").fetchall()
    found = []
    for row in rows:
        about: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
        own = tuple(alias for *key, alias in aliases if tuple(key) == row[:2])
        measured = {metric: value for *key, metric, value in scores if tuple(key) == row[:2] and value is not None}
        found.append(Entry(**about, aliases=own, scores=measured))
    return found


def usual_home() -> Path:
    """The folder of the registry: `SEG_HOME`, or the platform's place for data of an application."""
    chosen = os.environ.get("SEG_HOME")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("seg")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
