"""What was merged, when and by whom, and the state of each image since: rows that are only appended, files beside them.

`OUT.corrections/history` is the only folder that is written here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.correct.merge import Corrected
from toolkit.errors import InputError, StorageError, UsageError
from toolkit.files import arrays, whole
from toolkit.files.journal import Journal
from toolkit.files.lock import held
from toolkit.registry.package import file_digest
from toolkit.values.instances import Instances
from toolkit.values.sound import sound

HISTORY = "history"
JOURNAL = "journal.txt"
BEGUN = b'{"merge": '
"""How the first row begins."""
SHA256, STATE = re.compile(r"[0-9a-f]{64}"), re.compile(r"\d{1,9}-\d{1,9}\.state")
"""Names of files: of the objects before, and of a state."""
Row = dict[str, Any]


class History:
    """The history in a folder of corrections. Looking creates nothing."""

    def __init__(self, corrections: Path) -> None:
        self.folder = corrections / HISTORY
        self._journal = Journal(self.folder / JOURNAL)
        self.rows: list[Row] = self._read_rows()

    @property
    def undone(self) -> set[int]:
        """Numbers of the merges that were taken back."""
        return {row["undo"] for row in self.rows if "undo" in row}

    @property
    def merges(self) -> list[int]:
        """Numbers of the merges that stand, in their order."""
        return sorted({row["merge"] for row in self.rows if "merge" in row} - self.undone)

    def standing(self) -> dict[str, Row]:
        """The last row of each image that was not taken back."""
        there = set(self.merges)
        return {row["image"]: row for row in self.rows if row.get("merge") in there}

    def last(self, image: str) -> Row | None:
        """The last row of an image, taken back or not."""
        return next((row for row in reversed(self.rows) if row.get("image") == image), None)

    def base(self, image: str) -> Instances | None:
        """The objects that an image had when it was first corrected."""
        row = self.last(image)
        if row is None:
            return None
        found: Instances = self._read(f"{row['base']}.objects", Instances)
        if not sound(found) or found.digest != row["base"]:
            raise self._damaged(f"{row['base']}.objects")
        return found

    def state(self, row: Row) -> Corrected:
        """What was known of an image after a merge."""
        found: Corrected = self._read(row["state"], Corrected, row["sha256"])
        if not found.sound:
            raise self._damaged(row["state"])
        return found

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder; what the disk refuses is the disk's fault, and said so."""
        for folder in (self.folder, self.folder.parent):
            whole.unlinked(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with held(self.folder):
                self._ours()
                for folder in (self.folder, self.folder.parent):
                    whole.prune(folder)
                self._journal.mend()
                self.rows = self._read_rows()
                yield
        except OSError as error:
            raise StorageError(
                "cannot write the history of corrections", f"{self.folder} ({error.strerror or error})", "free space"
            ) from error

    def add(self, number: int, base: Instances, state: Corrected, about: Row) -> Row:
        """Keep the state of an image after merge `number`; what `about` says stands in its row."""
        kept = self.folder / f"{base.digest}.objects"
        if not kept.is_file():
            arrays.write(kept, base)
            whole.sync(kept)
        name = f"{number}-{sum(row.get('merge') == number for row in self.rows)}.state"
        digest = arrays.write(self.folder / name, state)
        whole.sync(self.folder / name)
        row = {"merge": number, "at": _now(), **about, "base": base.digest, "state": name, "sha256": digest}
        self._journal.add(row, now=True)
        self.rows.append(row)
        return row

    def undo(self, by: str) -> list[Row]:
        """Take the last merge back that stands; gives its rows. Raises `UsageError` if there is none."""
        if not self.merges:
            raise UsageError("there is no merge to take back", self.folder.parent, "see seg correct --help")
        with self.writing():
            number = self.merges[-1]
            row = {"undo": number, "at": _now(), "by": by}
            self._journal.add(row, now=True)
            self.rows.append(row)
        return [row for row in self.rows if row.get("merge") == number]

    def _read_rows(self) -> list[Row]:
        """The rows, none of which leads out of the folder, whoever wrote them."""
        rows = self._journal.rows() if self._journal.path.is_file() else []
        if not all(map(_is_row, rows)):
            raise self._damaged(JOURNAL)
        return rows

    def _ours(self) -> None:
        """Refuse a file or a link of somebody else under the name of the journal: it is cut where it is torn."""
        path = self._journal.path
        whole.replaceable(path)
        if path.is_file() and not self._journal.rows():
            begun = path.read_bytes()[: len(BEGUN)]
            if not BEGUN.startswith(begun):
                raise UsageError("this is no history of corrections", path, "move it away")

    def _read(self, name: str, kind: type[Any], digest: str = "") -> Any:
        from safetensors import SafetensorError

        path = self.folder / name
        try:
            if path.is_file() and (not digest or file_digest(path) == digest):
                return arrays.read(path, kind)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            pass
        raise self._damaged(name)

    def _damaged(self, name: str) -> InputError:
        what = "a part of the history of corrections is damaged"
        return InputError(what, self.folder / name, f"move {self.folder} away and merge the edits again")


def _is_row(row: Any) -> bool:
    """Whether it is a merge of an image or what takes one back."""
    if not isinstance(row, dict):
        return False
    if isinstance(row.get("undo"), int):
        return True
    texts = all(isinstance(row.get(key), str) for key in ("image", "image_sha256", "base", "state", "sha256"))
    names = texts and SHA256.fullmatch(row["base"]) and STATE.fullmatch(row["state"])
    return bool(names and isinstance(row.get("merge"), int) and {"file", "marks"} <= row.keys())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
