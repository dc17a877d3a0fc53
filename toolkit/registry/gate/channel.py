"""Headers and arrays between two processes over a pipe, of which one may lie."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_HEADER = 2**20
"""Bytes of a header: names, shapes, one sentence."""
MOST_PARTS = 256
_END = 2**64 - 1
_PLAIN = {f"{kind}{size}" for kind, sizes in {"b": "1", "u": "1248", "i": "1248", "f": "248"}.items() for size in sizes}
_LARGER = {"u2": "i4", "u4": "i8", "u8": "i8"}
"""Unsigned numbers that torch hardly knows, and what holds them."""


def send(stream: IO[bytes], header: Mapping[str, Any], blobs: Sequence[Any] = ()) -> None:
    """Write a header as JSON and blobs as bytes, each after its length."""
    for part in (json.dumps(header).encode(), *blobs):
        view = memoryview(part).cast("B") if len(memoryview(part)) else b""
        stream.write(struct.pack("<Q", len(view)))
        stream.write(view)
    stream.write(struct.pack("<Q", _END))
    stream.flush()


def receive(stream: IO[bytes], most: int) -> tuple[dict[str, Any], list[bytes]]:
    """Read what `send` wrote, of at most `most` bytes beside the header.

    Raises `EOFError` if the other end is gone, `ValueError` if it makes no sense.
    """
    parts: list[bytes] = []
    left = most
    while (length := struct.unpack("<Q", _exactly(stream, 8))[0]) != _END:
        left -= length if parts else 0
        if length > (left + length if parts else MOST_HEADER) or left < 0 or len(parts) > MOST_PARTS:
            raise ValueError("the answer is longer than it can be")
        parts.append(_exactly(stream, length))
    header = json.loads(parts[0]) if parts else None
    if not isinstance(header, dict):
        raise ValueError("the answer is no mapping")
    return header, parts[1:]


def pack(arrays: Sequence[NDArray[Any]]) -> tuple[list[dict[str, Any]], list[NDArray[Any]]]:
    """What a header says of arrays, and the arrays as blobs."""
    import numpy as np

    blobs = [np.ascontiguousarray(a) for a in arrays]
    return [{"dtype": a.dtype.str, "shape": list(a.shape)} for a in arrays], blobs


def unpack(about: Any, blobs: Sequence[bytes]) -> list[NDArray[Any]]:
    """The arrays of `pack`; raises `ValueError` or `TypeError` for anything else."""
    import numpy as np

    found = []
    for one, blob in zip(about, blobs, strict=True):
        flat = np.frombuffer(blob, plain_dtype(one["dtype"]))
        found.append(flat.reshape([int(n) for n in one["shape"]]).copy())
    return found


def plain_dtype(name: object) -> Any:
    """The dtype of this name, if it is one of plain numbers of at most 64 bits; else raises `ValueError`."""
    import numpy as np

    dtype = np.dtype(str(name))
    if dtype.str.lstrip("<>|=") not in _PLAIN:
        raise ValueError(f"{dtype} is no type of plain numbers")
    return dtype


def plain_array(array: Any) -> NDArray[Any]:
    """An array as torch takes it: native order, no unsigned numbers of more than 8 bits; raises `ValueError` for text,
    objects and numbers of more than 64 bits."""
    import numpy as np

    made = np.asarray(array)
    plain_dtype(made.dtype.str)
    native = made.dtype.newbyteorder("=")
    return made.astype(_LARGER.get(native.str[1:], native), copy=False)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the process ended")
    return data
