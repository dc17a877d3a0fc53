"""What a method thought, in the Zarr of a result: fields as OME-Zarr images, marks as plain arrays."""
# ruff: noqa: TID253
# Imported only where a Zarr is read or written.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.chunks import bound, opened
from toolkit.io.omeformat import OmeFormat, multiscales
from toolkit.io.raster import decoding, interpreting
from toolkit.values.thought import Marks

GROUP = "thoughts"
CHUNK = {3: (1, 1024, 1024), 4: (1, 32, 256, 256), 5: (1, 1, 32, 256, 256)}
KINDS = ("points", "lines", "ellipses")


@dataclass(frozen=True, eq=False)
class Field:
    """A lazy array whose damage is one `InputError`, whenever it is met."""

    path: Path
    source: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.source.dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.source.shape))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        with decoding(self.path):
            return np.asarray(self.source[key])


def write_thoughts(
    root: Any,
    fields: Mapping[str, NDArray[Any]],
    marks: Mapping[str, Marks],
    axes: str,
    size: tuple[float, ...] | None,
    form: OmeFormat,
) -> None:
    """Write `thoughts/fields/NAME`, each an OME-Zarr image `(T)C(Z)YX`, and `thoughts/marks/NAME`, rows of `Marks`.
    Fields are `(C, *shape)`, `axes` those of the shape, `size` is µm per axis of space or None."""
    group = root.create_group(GROUP)
    images, rows = group.create_group("fields"), group.create_group("marks")
    series = axes.startswith("T")
    order = axes[:series] + "C" + axes[series:]
    for name, values in fields.items():
        image = images.create_group(name)
        form.say(image, {"multiscales": [multiscales(name, order, [(1,) * len(order)], size, "mean")]})
        data = np.moveaxis(values, 0, 1) if series else values
        chunks = tuple(min(c, n) for c, n in zip(CHUNK[len(order)], data.shape, strict=True))
        form.array(image, "0", data.shape, data.dtype, chunks, order.lower())[...] = data
    for name, one in marks.items():
        data = one.rows()
        array = form.array(rows, name, data.shape, data.dtype, (max(1, len(data)), data.shape[1]))
        array[...] = data
        array.attrs["kind"] = one.kind


def read_thoughts(path: Path) -> tuple[dict[str, Any], dict[str, Marks]]:
    """Lazy fields, `(T)C(Z)YX`, and the marks in the `.zarr` of a result; nothing if it has none.

    Raises `InputError` if they are damaged.
    """
    fields, marks = dict[str, Any](), dict[str, Marks]()
    if not (path / GROUP).is_dir():
        return fields, marks
    with decoding(path), interpreting(path):
        group = opened(path / GROUP)
        for name, image in sorted(group["fields"].groups()):
            bound(path / GROUP, image["0"])
            fields[name] = Field(path / GROUP, image["0"])
        for name, array in sorted(group["marks"].arrays()):
            bound(path / GROUP, array)
            kind, rows = array.attrs.get("kind"), np.asarray(array[...])
            if kind not in KINDS or rows.ndim != 2 or not isinstance(array, zarr.Array):
                raise InputError("what the method thought is damaged", path / GROUP / "marks" / name, "run it anew")
            marks[name] = Marks.of_rows(kind, rows)
    return fields, marks
