"""Write a table as CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError
from toolkit.files.plain_text import cell

ROWS = 2**16
"""Rows that are formatted at once."""


def write_csv(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """One row per object, a header with the names of the columns; a value that is not known is left empty."""
    rows = len(next(iter(columns.values()))) if columns else 0
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(cell, columns))
        for low in range(0, rows, ROWS):
            writer.writerows(zip(*(_texts(c[low : low + ROWS]) for c in columns.values()), strict=True))


def write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """The same table in the types of its columns; a value that is not known is null. Needs pyarrow."""
    import pyarrow
    from pyarrow import parquet

    arrays = {name: pyarrow.array(c, from_pandas=c.dtype.kind == "f") for name, c in columns.items()}
    parquet.write_table(pyarrow.table(arrays), path)


def need_parquet() -> None:
    """Raise `UsageError` with what to install if Parquet cannot be written."""
    if find_spec("pyarrow") is None:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed", "--parquet", "pip install 'seg-toolkit[tables]'"
        )


def _texts(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind != "f":
        return [cell(value) for value in column.tolist()]
    digits = ".6g" if column.dtype.itemsize <= 4 else ".9g"
    return [format(v, digits) if np.isfinite(v) else "" for v in column.tolist()]
