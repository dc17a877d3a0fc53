"""Chunks of a Zarr array are what the array says they are: none unpacks to more, none lies outside a file."""
# ruff: noqa: TID253
# Imported only where a Zarr is read.

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore, WrapperStore

from toolkit.errors import InputError
from toolkit.io.raster import nbytes, plausible
from toolkit.io.unpacked import UNPACKED, unpacked

RATIO = 100_000
"""Chunks that hold nothing may be missing, so a Zarr array may declare much more than it stores."""
SMALL, LARGE = 2**28, 2**31
"""Bytes that a chunk may unpack to: any chunk, and one that is stored with as many bytes as an image takes."""
GAIN = 5000
"""No codec gains more than this on an image."""
MOST_INNER = 2**20
"""Chunks in a shard, whose index is read as a whole."""
METADATA = (".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
MOST_METADATA = 2**26
SLACK = 2**16
"""What checksums and headers may add to a chunk."""
ABSENT = 2**64 - 1


@dataclass(frozen=True)
class Limit:
    """What a chunk of an array may unpack to with its codec. `inner` chunks make a shard, whose index is at its end
    unless it comes `first`."""

    most: int
    codec: str
    inner: int = 0
    first: bool = False

    @property
    def stored(self) -> int:
        """Bytes that a file of the array may have: nothing that is packed grows by much."""
        return (self.most + 16) * max(1, self.inner) + MOST_METADATA

    def broken(self, data: memoryview, whole: bool) -> bool:
        """Whether a piece of a file, or the whole of it, holds a chunk that unpacks to more."""
        return any(unpacked(piece, self.codec, self.most) > self.most for piece in self._chunks(data, whole))

    def cut(self, data: memoryview, whole: bool) -> bool:
        """Whether a chunk is shorter than it says itself: Blosc then unpacks what lies behind it in memory."""
        return self.codec == "blosc" and any(
            len(piece) < 16 or struct.unpack_from("<I", piece, 12)[0] > len(piece)
            for piece in self._chunks(data, whole)
        )

    def _chunks(self, data: memoryview, whole: bool) -> list[memoryview]:
        """The chunks of a piece of a file. The index of a shard holds where each begins and how long it is, and a
        checksum; it is a piece of its own where not the whole shard is read."""
        size = 16 * self.inner
        if not self.inner or not whole:
            return [] if self.inner and len(data) == size + 4 else [data]
        index = data[:size] if self.first else data[-size - 4 : -4]
        places = struct.iter_unpack("<QQ", index[: len(index) // 16 * 16])
        return [data[at : at + length] for at, length in places if ABSENT not in (at, length)]


class Checked(WrapperStore[LocalStore]):
    """The files of a Zarr folder, read only. Arrays that `bound` has seen give only chunks of their size."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.limits: dict[str, Limit] = {}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        path = Path(self._store.root) / key
        if path.exists() and not path.is_file():
            raise InputError("a chunk of this Zarr is no file", path, "copy the folder again")
        limit = next((self.limits[p] for p in self.limits if key.startswith(f"{p}/" if p else "")), None)
        if key.endswith(METADATA):
            limit = None
        most = limit.stored if limit else MOST_METADATA
        if path.exists() and byte_range is None and path.stat().st_size > most:
            raise InputError("a file of this Zarr is far too large", path, "copy the folder again")
        found = await self._store.get(key, prototype, byte_range)
        if found is None or limit is None:
            return found
        data: Any = found.as_numpy_array()
        if limit.broken(memoryview(data).cast("B"), whole=byte_range is None):
            raise InputError("a chunk unpacks to more than it should", path, "the file is damaged")
        if limit.cut(memoryview(data).cast("B"), whole=byte_range is None):
            raise InputError("a chunk of this Zarr is cut off", path, "the file is damaged: copy it again")
        return found


def opened(path: Path) -> Any:
    """The Zarr group or array in a folder."""
    return zarr.open(store=Checked(LocalStore(path, read_only=True)), mode="r")


def bound(path: Path, array: Any) -> None:
    """Raise `InputError` for an array whose chunks are too large, or whose shape its files cannot fill.

    From now on its chunks are checked when they are read.
    """
    folder = path / array.path
    size = nbytes(array.chunks, array.dtype)
    declared, stored, largest = nbytes(array.shape, array.dtype), 0, 0
    for file in _files(folder):
        stored, largest = stored + file, max(largest, file)
        if declared <= stored * RATIO and (size <= SMALL or size <= largest * GAIN):
            break
    if size > (LARGE if size <= largest * GAIN else SMALL):
        raise InputError(f"a chunk of shape {array.chunks} is too large", path, "store it in smaller chunks")
    shards = array.shards
    inner = prod(s // c for s, c in zip(shards, array.chunks, strict=True)) if shards else 0
    if inner > MOST_INNER:
        raise InputError(f"a shard of shape {shards} has too many chunks", path, "store it in smaller shards")
    plausible(path, declared, stored, RATIO)
    codecs = _codecs(array.metadata)
    packing = [str(codec["name"]) for codec in codecs if codec["name"] in UNPACKED]
    if len(packing) > 1:
        raise InputError("the chunks of this Zarr are compressed twice", path, "store them compressed once")
    if isinstance(array.store, Checked):
        first = any(codec.get("index_location") == "start" for codec in codecs)
        array.store.limits[array.path] = Limit(2 * size + SLACK, "".join(packing), inner, first)


def _files(folder: Path) -> Iterator[int]:
    """Bytes of each file in a folder."""
    for parent, _, names in os.walk(folder):
        for name in names:
            about = (Path(parent) / name).stat()
            yield about.st_size if stat.S_ISREG(about.st_mode) else 0


def _codecs(metadata: Any) -> list[dict[str, Any]]:
    """The codecs of an array with their settings, those inside shards included."""
    plain = metadata.to_dict()
    todo = [*(plain.get("codecs") or ()), plain.get("compressor"), *(plain.get("filters") or ())]
    found = []
    while todo:
        codec = todo.pop()
        about = codec if isinstance(codec, dict) else codec.get_config() if hasattr(codec, "get_config") else {}
        settings = about.get("configuration")
        settings = settings if isinstance(settings, dict) else {}
        name = str(about.get("name") or about.get("id") or "").removeprefix("numcodecs.")
        found.append({**settings, "name": name})
        todo += settings.get("codecs") or ()
    return found
