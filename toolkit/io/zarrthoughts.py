"""What a method thought, in the Zarr of a result: fields as OME-Zarr images, marks as plain arrays."""
# ruff: noqa: TID253
# Imported only where a Zarr is read or written.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from toolkit.errors import InputError
from toolkit.io.chunks import bound, opened
from toolkit.io.raster import decoding, interpreting
from toolkit.values.thought import Marks

GROUP = "thoughts"
CHUNK = {2: (1024, 1024), 3: (64, 256, 256), 4: (1, 64, 256, 256)}
KINDS = ("points", "lines", "ellipses")


def write_thoughts(
    root: Any, fields: Mapping[str, NDArray[Any]], marks: Mapping[str, Marks], axes: str, size: tuple[float, ...] | None
) -> None:
    """Write `thoughts/fields/NAME`, each an OME-Zarr 0.5 image `(C, *shape)`, and `thoughts/marks/NAME`, rows of
    `Marks`. `axes` are those of the image, `size` is µm per spatial axis or None."""
    group = root.create_group(GROUP)
    images, rows = group.create_group("fields"), group.create_group("marks")
    unit = {} if size is None else {"unit": "micrometer"}
    about = [{"name": "c", "type": "channel"}]
    about += [{"name": c, "type": "time"} if c == "t" else {"name": c, "type": "space", **unit} for c in axes.lower()]
    spacing = (1.0,) * (len(axes) - len(size or ())) + (size or ())
    scale = [{"type": "scale", "scale": [1.0, *spacing]}]
    for name, values in fields.items():
        image = images.create_group(name)
        level = {"path": "0", "coordinateTransformations": scale}
        image.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": name, "axes": about, "datasets": [level]}]}
        shape = values.shape[1:]
        chunks = (1, *(min(c, n) for c, n in zip(CHUNK[len(shape)], shape, strict=True)))
        array = image.create_array(
            "0", shape=values.shape, dtype=values.dtype, chunks=chunks, dimension_names=["c", *axes.lower()],
            compressors=[ZstdCodec(level=3, checksum=True)], config={"write_empty_chunks": True},
        )  # fmt: skip
        array[...] = values
    for name, one in marks.items():
        array = rows.create_array(name, data=one.rows(), compressors=[ZstdCodec(level=3, checksum=True)])
        array.attrs["kind"] = one.kind


def read_thoughts(path: Path) -> tuple[dict[str, Any], dict[str, Marks]]:
    """Lazy fields `(C, *shape)` and the marks in the `.zarr` of a result; nothing if it has none.

    Raises `InputError` if they are damaged.
    """
    fields, marks = dict[str, Any](), dict[str, Marks]()
    if not (path / GROUP).is_dir():
        return fields, marks
    with decoding(path), interpreting(path):
        group = opened(path / GROUP)
        for name, image in sorted(group["fields"].groups()):
            bound(path / GROUP, image["0"])
            fields[name] = image["0"]
        for name, array in sorted(group["marks"].arrays()):
            bound(path / GROUP, array)
            kind, rows = array.attrs.get("kind"), np.asarray(array[...])
            if kind not in KINDS or rows.ndim != 2 or not isinstance(array, zarr.Array):
                raise InputError("what the method thought is damaged", path / GROUP / "marks" / name, "run it anew")
            marks[name] = Marks.of_rows(kind, rows)
    return fields, marks
