"""How many bytes a compressed chunk unpacks to, before it is unpacked."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

PIECE = 2**24
"""Bytes that are unpacked at once to count them."""
DEFLATE, HARMLESS = 1032, 2**30
"""No byte of Deflate unpacks to more than the first; nobody counts what cannot reach the second."""


def unpacked(data: memoryview, codec: str, most: int) -> int:
    """Bytes that a chunk unpacks to, or more than `most`; never fewer, as far as the codec is known."""
    return UNPACKED[codec](data, most) if codec in UNPACKED and len(data) >= 16 else len(data)


def _zstandard(data: memoryview, most: int) -> int:
    """What the header of a frame says, else what its blocks may hold (RFC 8878)."""
    if bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return len(data)
    about = data[4]
    single, flag = bool(about & 0x20), about >> 6
    at = 5 + (not single) + (0, 1, 2, 4)[about & 3]
    length = (1 if single else 0, 2, 4, 8)[flag]
    if length:
        return int.from_bytes(data[at : at + length], "little") + 256 * (flag == 1)
    total, last = 0, False
    while not last and at + 3 <= len(data) and total <= most:
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        total += size if kind < 2 else 2**17
        at += 3 + (1 if kind == 1 else size)
    return total


def _stream(make: Callable[[], Any]) -> Callable[[memoryview, int], int]:
    """Unpack bit by bit and throw it away: these codecs do not say how much there is."""

    def count(data: memoryview, most: int) -> int:
        decoder, total, left = make(), 0, bytes(data)
        try:
            while not decoder.eof and total <= most and (left or not decoder.needs_input):
                total += len(decoder.decompress(left, PIECE))
                left = b""
        except (OSError, lzma.LZMAError) as error:
            raise ValueError(f"a chunk cannot be unpacked: {error}") from error
        return total

    return count


def _deflated(data: memoryview, most: int) -> int:
    if len(data) * DEFLATE <= max(most, HARMLESS):
        return min(most, len(data) * DEFLATE)
    total, left = 0, bytes(data)
    while left and total <= most:  # gzip allows several files after each other
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        while not decoder.eof and left and total <= most:
            total += len(decoder.decompress(left, PIECE))
            left = decoder.unconsumed_tail
        left = left or decoder.unused_data
    return total


UNPACKED: dict[str, Callable[[memoryview, int], int]] = {
    "zstd": _zstandard,
    "blosc": lambda data, _: struct.unpack_from("<I", data, 4)[0],
    "lz4": lambda data, _: struct.unpack_from("<I", data, 0)[0],
    "gzip": _deflated,
    "zlib": _deflated,
    "bz2": _stream(bz2.BZ2Decompressor),
    "lzma": _stream(lzma.LZMADecompressor),
}
"""Codec → bytes that its data unpack to."""
