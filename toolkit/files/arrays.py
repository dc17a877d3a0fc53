"""Frozen dataclasses of arrays as one file of plain arrays: no pickle, nothing that is executed."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from toolkit.files import whole as files
from toolkit.files.failpoint import failpoint

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]
ABOUT = "about"
TEXTS = ":texts"
"""What the name of an array of texts ends with: it is stored as their letters, in whole numbers."""


def flat(value: Any, prefix: str = "") -> tuple[Arrays, dict[str, Any]]:
    """The arrays of a dataclass by dotted name, and the rest as plain JSON.

    Fields may be arrays of numbers or texts, mappings of names to such, numbers, texts, None, tuples of these, and such
    dataclasses. Raises `TypeError` for anything else.
    """
    arrays: Arrays = {}
    about: dict[str, Any] = {}
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"a {type(value).__name__} has no file form")
    for field in dataclasses.fields(value):
        item, name = getattr(value, field.name), f"{prefix}{field.name}"
        if isinstance(item, np.ndarray):
            arrays |= _stored(name, item, value, field.name)
        elif isinstance(item, Mapping):
            for key, array in item.items():
                arrays |= _stored(f"{name}.{key}", np.asarray(array), value, field.name)
            about[field.name] = list(item)
        elif dataclasses.is_dataclass(item):
            inner, about[field.name] = flat(item, f"{name}.")
            arrays |= inner
        elif _plain(item):
            about[field.name] = item
        else:
            raise TypeError(f"{type(value).__name__}.{field.name} is a {type(item).__name__}, which has no file form")
    return arrays, about


def whole(cls: type[T], arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any], prefix: str = "") -> T:
    """The dataclass `cls` of which `flat` gave these."""
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name, kind = f"{prefix}{field.name}", hints[field.name]
        if name in arrays or name + TEXTS in arrays:
            values[field.name] = _found(name, arrays)
        elif dataclasses.is_dataclass(kind):
            values[field.name] = whole(kind, arrays, about[field.name], f"{name}.")  # type: ignore[arg-type]
        elif isinstance(about[field.name], list) and getattr(kind, "__origin__", None) in (dict, Mapping):
            values[field.name] = {key: _found(f"{name}.{key}", arrays) for key in about[field.name]}
        else:
            values[field.name] = _tuples(about[field.name])
    return cls(**values)


def write(path: Path, value: Any) -> str:
    """Write a dataclass; the file is there as a whole or not at all, though not synced. Returns its sha256."""
    from safetensors.numpy import save

    arrays, about = flat(value)
    data = save({n: np.ascontiguousarray(a) for n, a in arrays.items()}, {ABOUT: json.dumps(about)})
    with files.file(path, lasting=False) as draft:
        failpoint("part.before")
        draft.write_bytes(data)
        failpoint("part.written")
    failpoint("part.named")
    return hashlib.sha256(data).hexdigest()


def read(path: Path, cls: type[T]) -> T:
    """The dataclass that `write` put there."""
    with opened(path) as (file, about):
        return whole(cls, {name: file.get_tensor(name) for name in file.keys()}, about)  # noqa: SIM118  (no dict)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A file that `write` wrote, to read parts of its arrays, and what is no array in it. Raises `OSError` for what is
    no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file, json.loads(file.metadata()[ABOUT])
    except SafetensorError as error:
        raise OSError(errno.EIO, f"damaged: {error}", str(path)) from error


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _stored(name: str, array: NDArray[Any], of: Any, field: str) -> Arrays:
    """What is written of an array."""
    if array.dtype.kind == "U":
        letters = max(1, array.dtype.itemsize // 4)
        return {name + TEXTS: array.astype(f"U{letters}", "C").reshape(*array.shape, 1).view(np.uint32)}
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 8:
        raise TypeError(f"{type(of).__name__}.{field} has dtype {array.dtype}, which has no file form")
    return {name: array}


def _found(name: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The array of which `_stored` gave these."""
    if name in arrays:
        return arrays[name]
    letters = arrays[name + TEXTS]
    return np.ascontiguousarray(letters).view(f"U{letters.shape[-1]}")[..., 0]


def _plain(item: Any) -> bool:
    return isinstance(item, int | float | str | None) or (isinstance(item, tuple) and all(map(_plain, item)))


def _tuples(item: Any) -> Any:
    return tuple(map(_tuples, item)) if isinstance(item, list) else item
