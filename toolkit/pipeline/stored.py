"""Pieces in files: plain arrays, of which as much is read as is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline.shelf import writing
from toolkit.values.fragment import Fragment
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels

FORMS: dict[str, type[Piece]] = {"heads": Prediction, "instances": Fragment, "values": Voxels}
"""Classes of pieces, by the field that tells them apart."""


@dataclass(frozen=True)
class Stored:
    """A piece in a file: which of `FORMS` it has, and the digest of the file."""

    path: str
    form: str
    sha256: str


def file_of(number: int) -> str:
    """Name of the file of a piece."""
    return f"{number}.piece"


def store(piece: Piece, folder: Path, number: int, backend: Backend) -> Stored:
    """Write the piece of window `number`; raises `StorageError` if there is no room for it."""
    path = folder / file_of(number)
    if isinstance(piece, Prediction):
        piece = replace(piece, heads={name: backend.to_numpy(head) for name, head in piece.heads.items()})
    form = next(name for name, cls in FORMS.items() if isinstance(piece, cls))
    with writing(folder):
        return Stored(str(path), form, arrays.write(path, piece))


def load(stored: Stored, box: Box, sound: set[str], backend: Backend) -> Piece:
    """The part of a stored piece in `box`. Its digest is compared once, `sound` remembers; raises `StorageError`."""
    path = Path(stored.path)
    try:
        if stored.path not in sound:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != stored.sha256:
                    raise StorageError("what the network said of a window is damaged on disk", path, "run again")
            sound.add(stored.path)
        if stored.form == "values":
            return _slab(path, box)
        found = arrays.read(path, FORMS[stored.form])
        if isinstance(found, Prediction):
            return replace(found, heads={name: backend.asarray(head) for name, head in found.heads.items()})
        return found
    except OSError as error:
        raise StorageError(f"what the network said of a window is {_lost(error)}", path, "run again") from error


def _lost(error: OSError) -> str:
    return "gone from the disk" if isinstance(error, FileNotFoundError) else f"unreadable ({error.strerror or error})"


def _slab(path: Path, box: Box) -> Voxels:
    """The voxels of a file from the first row that meets `box` to the last: no other values are read."""
    with arrays.opened(path) as (file, about):
        runs = {name: file.get_tensor(name) for name in ("start", "length")}
        bare = arrays.whole(Voxels, runs, {**about, "values": []})
        met = bare.cut(box)[0]
        low, high = (int(met[0]), int(met[-1]) + 1) if len(met) else (0, 0)
        first, last = int(bare.offsets[low]), int(bare.offsets[high])
        names = {name: f"values.{name}" for name in about["values"]}
        if first == last:  # which safetensors does not slice
            values = {name: file.get_tensor(key)[:0] for name, key in names.items()}
        else:
            values = {name: file.get_slice(key)[first:last] for name, key in names.items()}
        return replace(bare, start=bare.start[low:high], length=bare.length[low:high], values=values)
