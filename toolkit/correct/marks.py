"""What a person says is right as it is: `right.csv`, columns `image` and `what`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError, UsageError, nearest
from toolkit.files import bounded, whole
from toolkit.steps.within import spans

RIGHT = "right.csv"
WHOLE = "whole"
COLUMNS = ("image", "what")
IDS = re.compile(r"\d{1,18}([ ,]+\d{1,18})*")


@dataclass(frozen=True)
class Mark:
    """`what` is right in an image: `whole`, ids such as `3 7 12`, or a box such as `0:512,100:300`."""

    image: str
    what: str

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", self.what))) if IDS.fullmatch(self.what) else ()

    @property
    def box(self) -> str:
        """The box as `steps.within` reads it, or nothing."""
        return self.what if ":" in self.what else ""


def read(folder: Path, images: Iterable[str]) -> tuple[Mark, ...]:
    """The marks in a folder of corrections; none without the file. Raises `InputError` that names the line."""
    path = folder / RIGHT
    if not path.is_file():
        return ()
    try:
        # Spreadsheets put a mark before the first column.
        table = csv.DictReader(io.StringIO(bounded.read(path).decode("utf-8-sig"), newline=""))
        rows = list(table)
    except (ValueError, OSError, csv.Error) as error:
        raise InputError("this table cannot be read", path, " ".join(str(error).split())[:120]) from error
    if not {*COLUMNS} <= {*(table.fieldnames or COLUMNS)}:
        raise InputError("the table does not begin with the columns image and what", path, "begin: image,what")
    known, found = tuple(images), []
    for line, row in enumerate(rows, 2):
        image, what = row.get("image"), row.get("what")
        if image is None or what is None:
            raise InputError("a row has not the columns image and what", f"{path}, line {line}", "begin: image,what")
        if image not in known:
            raise InputError(f"the result has no image {image!r}", f"{path}, line {line}", nearest(image, known))
        found.append(_checked(Mark(image, what.strip()), f"{path}, line {line}"))
    return tuple(found)


def parse(text: str, images: Sequence[str]) -> Mark:
    """`NAME`, `NAME:3,7` or `NAME:0:512,100:300` as `--right` takes it. Raises `UsageError`."""
    if text in images:
        return Mark(text, WHOLE)
    for name in sorted(images, key=len, reverse=True):
        if text.startswith(name + ":"):
            try:
                return _checked(Mark(name, text[len(name) + 1 :]), f"--right {text}")
            except InputError as error:
                raise UsageError(error.what, error.where, error.do) from error
    raise UsageError(f"this result has no image {text.partition(':')[0]!r}", f"--right {text}", nearest(text, images))


def add(folder: Path, marks: Sequence[Mark], images: Iterable[str]) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    """Write more marks into the table of a folder; what it says already is not said twice. Gives those that stood there
    and those that stand there now."""
    known = read(folder, images)
    every = tuple(dict.fromkeys((*known, *marks)))
    if len(every) > len(known):
        write(folder, every)
    return known, every


def write(folder: Path, every: Iterable[Mark]) -> None:
    """The table of a folder, anew."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *((mark.image, mark.what) for mark in every)])
    whole.text(folder / RIGHT, text.getvalue())


def _checked(mark: Mark, where: str) -> Mark:
    if mark.what == WHOLE or mark.ids:
        return mark
    try:
        if mark.box:
            spans(mark.box)
            return mark
    except UsageError as error:
        raise InputError(error.what, where, error.do) from error
    raise InputError(f"{mark.what!r} says not what is right", where, "write whole, ids (3 7) or a box (0:512,100:300)")
