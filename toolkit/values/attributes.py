"""What a method says of each object beside its voxels: arrays by name, the first axis counts objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attributes = Mapping[str, NDArray[Any]]
POLYGON = "polygon"
"""The attribute `(N, K, D)` that holds points of the image in voxels, `(Z)YX`: it goes where its object goes."""


def each(attributes: Attributes | None, count: int) -> Attributes:
    """What is said of each of `count` objects; raises `ValueError` where it is said of more or fewer."""
    for name, values in (attributes or {}).items():
        if not np.ndim(values) or len(values) != count:
            has = f"has {len(values)} entries" if np.ndim(values) else "is one value"
            raise ValueError(f"{name} {has} for {count} objects: give one per object, in ascending order of labels")
    return attributes or {}


def owned(attributes: Attributes, owners: NDArray[Any], scores: Any = None) -> dict[str, NDArray[Any]]:
    """Those of the objects with these indices into `attributes` and `scores`, which speak of as many objects."""
    least = int(owners.max(initial=-1)) + 1
    said = [len(values) for values in attributes.values() if np.ndim(values)]
    count = max([least, *said]) if scores is None else len(scores)
    return picked(each(attributes, count), owners)


def picked(attributes: Attributes, index: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Those of the objects with these indices, in that order."""
    return {name: np.asarray(values)[index] for name, values in attributes.items()}


def joined(parts: Sequence[tuple[int, Attributes]]) -> dict[str, NDArray[Any]]:
    """Those of several sets of objects, one set after the other: what all of them say that have objects at all."""
    some = [attributes for count, attributes in parts if count]
    names = [name for name in (some[0] if some else {}) if all(name in other for other in some)]
    return {name: np.concatenate([np.asarray(other[name]) for other in some]) for name in names}


def moved(attributes: Attributes, by: Sequence[float], scale: Sequence[float] = ()) -> dict[str, NDArray[Any]]:
    """The same of objects that were enlarged by `scale` and then moved by so many voxels per axis."""
    found = dict(attributes)
    if POLYGON in found:
        factor = np.asarray(scale or (1,) * len(by), np.float64)
        # The middle of a voxel is a whole number.
        found[POLYGON] = ((found[POLYGON] + 0.5) * factor - 0.5 + np.asarray(by)).astype(np.float32)
    return found


def scored(scores: Mapping[int, float] | None, labels: Sequence[int]) -> NDArray[np.float32] | None:
    """Scores of the objects with these labels, 1 where `scores` does not name one; None where there is none."""
    if scores is None:
        return None
    if not isinstance(scores, Mapping):
        raise ValueError("scores map labels to numbers, such as {1: 0.9}, since labels need not be 1, 2, 3")
    return np.array([scores.get(label, 1.0) for label in labels], np.float32)


def columns(attributes: Attributes, taken: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of a table: numbers and texts under their name, vectors under `name_0`, `name_1` …; before a name that is
    `taken` stands `object_`. Polygons are no columns."""
    found: dict[str, NDArray[Any]] = {}
    for name, values in attributes.items():
        called = f"object_{name}" if name in taken else name
        if values.ndim == 1:
            found[called] = values
        elif values.ndim == 2:
            found |= {f"{called}_{k}": values[:, k] for k in range(values.shape[1])}
    return found


def wrong(attributes: Any, count: int) -> str:
    """What is wrong with the attributes of `count` objects, or nothing."""
    for name, values in dict(attributes).items():
        if not isinstance(name, str) or not name.isidentifier():
            return f"an attribute is called {name!r}"
        if not isinstance(values, np.ndarray) or values.ndim < 1 or values.dtype.kind not in "biufU":
            return f"attribute {name} is no array of numbers or texts"
        if len(values) != count:
            return f"attribute {name} has {len(values)} entries for {count} objects"
    return ""
