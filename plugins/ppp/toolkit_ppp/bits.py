"""Sets of pixels as bits: the members of a patch in C bits, the pixels of an image in padded rows of words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.layout import Triple

Words = NDArray[np.uint64]
ONE = np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def pack(members: NDArray[np.bool_]) -> Words:
    """`(N, C)` booleans as `(N, words)`; bit c of a row is bit c % 64 of word c // 64."""
    count, voxels = members.shape
    padded = np.zeros((count, -(-voxels // 64) * 8), np.uint8)
    packed = np.packbits(members, axis=1, bitorder="little")
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, voxels: int) -> NDArray[np.bool_]:
    """The inverse of `pack`."""
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8).reshape(len(words), 8 * words.shape[1])
    return np.unpackbits(octets, axis=1, count=voxels, bitorder="little").astype(bool)


def canvas(mask: NDArray[np.bool_]) -> Words:
    """The pixels of a `(Z, Y, X)` mask as `(Z, Y, words)`, with an empty word before and two after each row."""
    depth, height, width = mask.shape
    words = np.zeros((depth, height, -(-width // 64) + 3), np.uint64)
    words[..., 1:-2] = pack(mask.reshape(depth * height, width)).reshape(depth, height, -1)
    return words


@jit
def bit_row(words: Words, first: int, count: int) -> np.uint64:
    """`count` ≤ 64 bits of a packed patch from bit `first` on."""
    word, shift = first >> 6, np.uint64(first & 63)
    bits = words[word] >> shift
    if shift and word + 1 < len(words):
        bits |= words[word + 1] << (np.uint64(64) - shift)
    return np.uint64(bits & (ALL >> np.uint64(64 - count)))


@jit
def popcount(bits: np.uint64) -> int:
    """Number of set bits."""
    bits = bits - ((bits >> ONE) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@jit
def gain(pixels: Words, words: Words, centre: int, shape: Triple, patch: Triple, take: bool) -> int:
    """How many of the pixels on the canvas the patch at raster index `centre` has; `take` removes them.

    Members outside the image do not exist; so a row may be read beyond the image, where the canvas is empty.
    """
    height, width = shape[1], shape[2]
    z0 = centre // (height * width) - patch[0] // 2
    y0 = centre // width % height - patch[1] // 2
    column = centre % width - patch[2] // 2 + 64
    word, shift = column >> 6, np.uint64(column & 63)
    total = 0
    for a in range(max(0, -z0), min(patch[0], shape[0] - z0)):
        for b in range(max(0, -y0), min(patch[1], height - y0)):
            bits = bit_row(words, (a * patch[1] + b) * patch[2], patch[2])
            if bits == 0:
                continue
            row = pixels[z0 + a, y0 + b]
            here = row[word] >> shift
            if shift:
                here |= row[word + 1] << (np.uint64(64) - shift)
            here &= bits
            total += popcount(here)
            if take:
                row[word] &= ~(here << shift)
                if shift:
                    row[word + 1] &= ~(here >> (np.uint64(64) - shift))
    return total
