"""Reading and writing: TIFF, PNG, OME-Zarr, data sets and the files of a run. Nothing is imported before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.io.array import of_array as of_array
    from toolkit.io.dataset import Dataset as Dataset
    from toolkit.io.dataset import Item as Item
    from toolkit.io.dataset import open_dataset as open_dataset
    from toolkit.io.finite import count_nonfinite as count_nonfinite
    from toolkit.io.finite import reach as reach
    from toolkit.io.given import refused as refused
    from toolkit.io.image import frames as frames
    from toolkit.io.image import read as read
    from toolkit.io.inputs import Found as Found
    from toolkit.io.inputs import find_inputs as find_inputs
    from toolkit.io.inputs import is_split as is_split
    from toolkit.io.inputs import search as search
    from toolkit.io.labels import read_instances as read_instances
    from toolkit.io.labels import read_truth as read_truth
    from toolkit.io.output import write as write
    from toolkit.io.paths import stem as stem

_HOME = {
    "Dataset": "dataset",
    "Found": "inputs",
    "Item": "dataset",
    "count_nonfinite": "finite",
    "find_inputs": "inputs",
    "frames": "image",
    "is_split": "inputs",
    "of_array": "array",
    "open_dataset": "dataset",
    "reach": "finite",
    "read": "image",
    "read_instances": "labels",
    "read_truth": "labels",
    "refused": "given",
    "search": "inputs",
    "stem": "paths",
    "write": "output",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
