"""What people are told of an image and of what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit import io
from toolkit.pipeline.prepared import prepare
from toolkit.plugins.recipe import Recipe
from toolkit.steps.normalise import Scale
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.tiles import slabs

CUBES = "the voxel size is unknown: voxels are taken for cubes; say --voxel-size where slices are thicker"
LARGEST = float(np.finfo(np.float32).max)
NEGATIVE = (
    "most of the image is bright, and the model learnt bright objects on dark ground: if the objects are dark here, "
    "invert the image"
)
BRIGHT = 0.5
"""The median of scaled images of fluorescence is at most 0.2, that of their negatives at least 0.7."""
SLAB = 2**24
"""Voxels that are looked at at once."""


def cubes(image: Image) -> tuple[str, ...]:
    """A warning of a volume of unknown voxel size."""
    return (CUBES,) if image.ndim == 3 and not image.calibrated else ()


def ground(seen: str, scale: Scale, knows: Sequence[str]) -> tuple[str, ...]:
    """What is odd about the values of an image, of which `seen` tells what was seen: those far from all others, or a
    bright ground where the model learnt nuclei on a dark one, as a model that `knows` a stain has."""
    if scale.far:
        return (scale.far,)
    if "haematoxylin" in knows and scale.middle > BRIGHT and not seen.startswith("haematoxylin"):
        return (NEGATIVE,)
    return ()


def nothing(image: Image, channels: int, sized: Rescaling) -> str:
    """What to try where no object was found."""
    size = "--diameter off" if sized.by else "--diameter with that of the objects"
    tries = ["another --channel" * (channels > 1), size, "--axes" * (image.ndim == 3), "other thresholds with --set"]
    return f"no object was found in {image.seen}; try " + ", ".join(filter(None, tries))


def vanished(count: int) -> tuple[str, ...]:
    """Objects that an image was rescaled for, and that have no voxel of it."""
    return (f"{count} objects are smaller than a voxel of the image and left out",) if count else ()


@dataclass(frozen=True)
class Unread:
    """How many values of an image were taken as 0: what is not finite, and what is `beyond` the numbers of 32 bits once
    it is scaled."""

    infinite: int = 0
    beyond: int = 0

    @classmethod
    def of(cls, image: Image, recipe: Recipe, scale: Scale) -> Unread:
        """Of all channels, and of those that the network sees; of an image of integers nothing is read."""
        if image.dtype.kind != "f":
            return cls()
        infinite, top = io.reach(image)
        with np.errstate(over="ignore", invalid="ignore"):
            far = (top + float(np.abs(scale.offset).max())) * max(1.0, float(np.abs(scale.factor).max()))
        return cls(infinite, 0 if far <= LARGEST else _beyond(prepare(image, recipe), scale))

    @staticmethod
    def said(parts: Sequence[Unread]) -> tuple[str, ...]:
        """The notes about all frames."""
        infinite, beyond = sum(p.infinite for p in parts), sum(p.beyond for p in parts)
        notes = [f"{infinite} values are not finite and were taken as 0"] if infinite else []
        if beyond:
            notes.append(f"{beyond} values are too large beside the others for 32-bit numbers and were taken as 0")
        return tuple(notes)


def _beyond(image: Image, scale: Scale) -> int:
    column = (slice(None), *[None] * image.ndim)
    count = 0
    for box in slabs(image.shape, SLAB):
        voxels = image.read(box)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = voxels.astype(np.float64) - scale.offset[column]
            kept = np.abs(apart * scale.factor[column]) <= LARGEST
            if voxels.dtype.itemsize <= 4:
                kept &= np.abs(apart) <= LARGEST
        count += int(np.count_nonzero(np.isfinite(voxels) & ~kept))
    return count
