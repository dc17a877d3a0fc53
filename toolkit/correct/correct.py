"""The edits of a person into the history of a result: what `seg correct` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.correct import edited, marks
from toolkit.correct.edited import Pieces
from toolkit.correct.history import History, Row
from toolkit.correct.marks import WHOLE, Mark
from toolkit.correct.merge import Changes, merge
from toolkit.correct.result import Result, Segmented
from toolkit.errors import InputError, UsageError
from toolkit.registry.package import file_digest

TAKEN = "taken back, and not changed since; to merge it again, name it or say --whole"


@dataclass(frozen=True)
class Merged:
    """What came of an image: its changes, or why it was not merged."""

    image: str
    changes: Changes | None = None
    note: str = ""
    error: InputError | None = None


@dataclass(frozen=True)
class Outcome:
    """A merge: its number, None if nothing was new, and the images that somebody corrected."""

    number: int | None
    images: tuple[Merged, ...]

    @property
    def failed(self) -> tuple[Merged, ...]:
        return tuple(one for one in self.images if one.error is not None)


def correct(
    result: Result,
    *,
    names: Sequence[str] = (),
    right: Sequence[str] = (),
    every: bool = False,
    pieces: Pieces = "refuse",
    by: str = "",
) -> Outcome:
    """Merge what is new in `OUT.corrections`: edited label images and marks.

    `names`: these images alone, merged once more even if nothing is new. `right` adds marks (`marks.parse`), `every`
    marks each image that has an edited file as right as a whole; what was merged and taken back before is merged again
    where it is marked so once more. Objects that were drawn in
    several pieces are refused, kept or split, as `pieces` says. An image that cannot be merged is listed, as is a file
    that corrects none, the others are done. Raises `UsageError` where there is nothing to merge, `InputError` where the
    table of marks is not as it should be.
    """
    folder, known = result.corrections, [image.name for image in result.images]
    for name in names:
        result.image(name)
    wanted = [marks.parse(text, known) for text in right]
    files = edited.files(result)
    wanted += [Mark(name, WHOLE) for name in files if every and name in (names or known)]
    if not files and not wanted and not (folder / marks.RIGHT).is_file():
        raise UsageError("there are no corrections", folder,
                         f"save edited labels there under the name of their image, such as {known[0]}.tif, or say "
                         "--right NAME")  # fmt: skip
    history = History(folder)
    with history.writing():
        stood, said = marks.add(folder, wanted, known)
        touched = [i for i in result.images if i.name in files or any(m.image == i.name for m in said)]
        number = max((row["merge"] for row in history.rows if "merge" in row), default=0) + 1
        found = tuple(
            _one(history, number, image, files.get(image.name), [m for m in said if m.image == image.name], pieces, by,
                 image.name in names, image.name in {mark.image for mark in wanted})
            for image in touched
            if not names or image.name in names
        )  # fmt: skip
        found += tuple(
            Merged(name, error=why)
            for name, why in files.items()
            if isinstance(why, InputError) and name not in known and not names
        )
        bad = {one.image for one in found if one.error is not None}
        if bad and len(said) > len(stood):  # what is refused must not stand in the way of what is said next
            marks.write(folder, [mark for mark in said if mark.image not in bad or mark in stood])
    return Outcome(number if any(one.changes for one in found) else None, found)


def _one(
    history: History,
    number: int,
    image: Segmented,
    file: Path | InputError | None,
    said: Sequence[Mark],
    pieces: Pieces,
    by: str,
    again: bool,
    insists: bool,
) -> Merged:
    try:
        if isinstance(file, InputError):
            raise file
        about: Row = {"image": image.name, "by": by, "input": str(image.input), "image_sha256": image.sha256}
        about |= {"file": file and [file.name, _digest(file)], "marks": [mark.what for mark in said]}
        before = history.last(image.name)
        same = before is not None and all(before[key] == about[key] for key in ("file", "marks"))
        if before is not None and same and not again:
            if before["merge"] not in history.undone:
                return Merged(image.name, note="nothing new")
            if not insists:
                return Merged(image.name, note=TAKEN)
        base = history.base(image.name) if before else None
        note = "" if base is None or base == image.objects() else "compared with the result that was corrected first"
        base = image.objects() if base is None else base
        if base.shape != image.shape:
            raise InputError("another image was corrected under this name", image.name, "move its history away")
        series = len(image.frames()) > 1
        there = None if file is None else edited.read(file, image, base, series)
        state, changes = merge(base, there, said, pieces, str(file or image.name), series)
        if before is None and not changes.any and not said:
            return Merged(image.name, note="nothing was changed or marked as right")
        history.add(number, base, state, {**about, **asdict(changes)})
    except InputError as error:
        return Merged(image.name, error=error)
    return Merged(image.name, changes, note)


def _digest(path: Path) -> str:
    """Of a file, or of all files of a folder."""
    if path.is_file():
        return file_digest(path)
    from hashlib import sha256

    rows = [(str(p.relative_to(path)), file_digest(p)) for p in sorted(path.rglob("*")) if p.is_file()]
    return sha256(repr(rows).encode()).hexdigest()
