"""A picture of an image with the outlines of its objects."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.io.outline import outlines
from toolkit.values import runs
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects, sets
from toolkit.values.tiles import Box, slabs

LONGEST = 2000
"""Longest side of the picture in pixels."""
SHORT = 1000
"""Smaller images are magnified, by 2, 4 or 8, as long as they stay below this."""
GAMMA = 0.7
"""Brightens pictures that are dark in the main."""
SLAB = 2**25
"""Voxels that are read at once."""


def write_overlay(path: Path, image: Image, instances: Objects) -> None:
    """An RGB PNG: contrast-stretched image (3-D: brightest voxel along z), each object outlined in its own colour.

    Overlapping objects show both outlines. Images longer than 2000 pixels are shrunk, small ones magnified.
    """
    import imagecodecs

    height, width = image.shape[-2:]
    shrink = max(1, min(-(-max(height, width) // LONGEST), height, width))  # a line is not shrunk to nothing
    zoom = next(z for z in (8, 4, 2, 1) if z == 1 or z * max(height, width) <= SHORT)
    picture = magnified(backdrop(image, shrink), zoom)
    light = float(picture.mean()) > 0.6
    colour, alpha = outlines(flat(instances, shrink), zoom, light, smooth=shrink == 1)
    drawn = alpha > 0
    picture[drawn] += (colour[drawn] - picture[drawn]) * alpha[drawn][:, None]
    path.write_bytes(imagecodecs.png_encode((picture * 255 + 0.5).astype(np.uint8), level=3))


def backdrop(image: Image, shrink: int) -> NDArray[np.float32]:
    """The image as RGB in [0, 1], every `shrink`-th pixel an average, contrast stretched unless it is 8-bit RGB."""
    height, width = (n // shrink for n in image.shape[-2:])
    colours = 3 if image.channels == 3 else 1
    out = np.full((colours, height, width), -np.inf, np.float32)
    planes = slabs((height * shrink, image.shape[-1]), SLAB // image.channels, unit=shrink)
    for z, part in product(range(image.shape[0] if image.ndim == 3 else 1), planes):
        rows = slice(part.start[0] // shrink, part.stop[0] // shrink)
        box = Box((z, *part.start)[-image.ndim :], (z + 1, *part.stop)[-image.ndim :])
        with np.errstate(over="ignore"):  # of values beyond 32 bits a run has a note
            voxels = np.nan_to_num(image.read(box)[:colours].astype(np.float32), nan=0, posinf=0, neginf=0)
        voxels = voxels[..., : width * shrink].reshape(colours, -1, rows.stop - rows.start, shrink, width, shrink)
        out[:, rows] = np.maximum(out[:, rows], voxels.mean(axis=(3, 5)).max(axis=1))
    if colours == 3 and image.dtype == np.uint8:
        out /= 255
    else:
        low, high = (np.percentile(out, p, axis=(1, 2))[:, None, None] for p in (0.5, 99.8))
        with np.errstate(over="ignore"):
            out = ((out - low) / np.where(high > low, high - low, 1)).clip(0, 1).astype(np.float32)
        out **= GAMMA if out.mean() < 0.3 else 1  # faint objects beside bright ones
    return np.ascontiguousarray(np.broadcast_to(out, (3, height, width)).transpose(1, 2, 0))


def magnified(picture: NDArray[np.float32], zoom: int) -> NDArray[np.float32]:
    """The picture `zoom` times as large, bilinear between pixel centres."""
    for axis in range(2 if zoom > 1 else 0):
        n = picture.shape[axis]
        at = ((np.arange(n * zoom) + 0.5) / zoom - 0.5).clip(0, n - 1)
        low = at.astype(int)
        part = (at - low).astype(np.float32).reshape([-1 if d == axis else 1 for d in range(3)])
        high = np.minimum(low + 1, n - 1)
        picture = picture.take(low, axis) * (1 - part) + picture.take(high, axis) * part
    return picture


def flat(objects: Objects, shrink: int) -> Instances:
    """The objects projected along z on a grid of every `shrink`-th pixel; those that vanish on it stay one pixel."""
    height, width = (n // shrink for n in objects.shape[-2:])
    found = [(np.zeros(0, np.int64),) * 3]
    for start, length, owner in sets(objects):
        inside = start % prod(objects.shape[-2:])
        row, first = (v // shrink for v in np.divmod(inside, objects.shape[-1]))
        last = (inside % objects.shape[-1] + length - 1) // shrink
        row, first, last = row.clip(0, height - 1), first.clip(0, width - 1), last.clip(0, width - 1)
        found.append(runs.unite(row * width + first, last - first + 1, owner, width))
    start, length, owner = (np.concatenate([f[k] for f in found]) for k in range(3))
    return Instances.from_runs((height, width), start, length, owner, objects.scores)
