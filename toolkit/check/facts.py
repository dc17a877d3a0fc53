"""Look at one image and its annotation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.check.fingerprint import Fingerprint, fingerprint
from toolkit.check.inventory import Entry
from toolkit.check.parts import parts
from toolkit.errors import InputError, OutOfMemory
from toolkit.io.labels import has_instances, stored
from toolkit.io.points import is_points
from toolkit.io.shapeless import is_shapeless
from toolkit.steps.choice import stained
from toolkit.steps.objects import Objects, describe
from toolkit.values.image import Image
from toolkit.values.tiles import Box
from toolkit.values.truth import UNANNOTATED

MOST = 2**26
"""Voxels of an image that are looked at: of a larger one, its middle."""
SAMPLE = 2**19
"""Values per channel from which percentiles are taken."""


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """An image. `low`, `middle`, `high`: percentiles 1, 50 and 99.8 per channel, NaN if nothing is finite."""

    shape: tuple[int, ...]
    channels: int
    dtype: str
    voxel_size: tuple[float, ...]
    calibrated: bool
    notes: tuple[str, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]
    constant: bool
    nonfinite: int
    colourless: bool
    """Three channels that are equal."""
    stained: bool
    """Tissue, through which light comes in colours."""
    partial: bool
    """Only the middle was looked at."""
    fingerprint: Fingerprint
    digest: str
    """Equal for equal voxels."""
    contrast: float = float("nan")
    """Median inside objects minus median outside, in units of `high` − `low`, in the first channel."""


@dataclass(frozen=True, eq=False)
class MaskFacts:
    """A label file. `kind`: "L" labels, "Q" planes or "P" a table of points; `dtype`, `low`, `high` as in the file."""

    shape: tuple[int, ...]
    kind: str
    dtype: str
    low: float
    high: float
    unannotated: float
    """Share of voxels that are unannotated."""
    objects: Objects
    pieces: dict[int, tuple[int, ...]]
    """Sizes of the pieces of the objects that have several, by id."""

    @property
    def blank(self) -> bool:
        """Whether nothing at all is annotated."""
        return self.unannotated == 1.0

    @property
    def points(self) -> bool:
        """Whether every object is one voxel."""
        return len(self.objects) > 0 and bool((self.objects.sizes == 1).all())


@dataclass(frozen=True, eq=False)
class Facts:
    """All that is known of an entry; `bad` maps "image", "mask", "void" to the sentence why it cannot be read."""

    entry: Entry
    image: ImageFacts | None
    mask: MaskFacts | None
    bad: dict[str, str]


def look(entry: Entry) -> Facts:
    """Read the files of an entry; never raises for a bad one."""
    bad: dict[str, str] = {}
    image: ImageFacts | None = None
    mask: MaskFacts | None = None
    labels: NDArray[Any] | None = None
    if entry.mask is not None:
        try:
            mask, labels = _shapeless(entry) if is_shapeless(entry.mask) else _mask(entry.mask, entry.meta.masks)
        except (InputError, OutOfMemory) as error:
            bad["mask"] = _reason(error, entry.mask)
    if entry.image is not None:
        try:
            image = _image(io.read(entry.image, entry.meta.axes, entry.meta.voxel_size), labels)
        except (InputError, OutOfMemory) as error:
            bad["image"] = _reason(error, entry.image)
    if entry.void is not None:
        try:
            shape = io.read(entry.void).shape
            if mask is not None and shape != mask.shape:
                bad["void"] = f"its shape is {shape} and that of the mask {mask.shape}"
        except (InputError, OutOfMemory) as error:
            bad["void"] = _reason(error, entry.void)
    return Facts(entry, image, mask, bad)


def _reason(error: InputError | OutOfMemory, path: Path) -> str:
    said = error.where.removeprefix(str(path)).strip(" ()")
    return f"{error.what} ({said})" if said else error.what


def _image(image: Image, labels: NDArray[Any] | None) -> ImageFacts:
    box = _middle(image)
    voxels = image.read(box)
    finite = np.isfinite(voxels) if voxels.dtype.kind == "f" else None
    nonfinite = 0 if finite is None else int(finite.size - np.count_nonzero(finite))
    low, middle, high = (tuple(p) for p in np.array([_percentiles(c) for c in voxels]).T.tolist())
    known = voxels if finite is None else voxels[finite]
    return ImageFacts(
        shape=image.shape,
        channels=image.channels,
        dtype=str(image.dtype),
        voxel_size=image.voxel_size,
        calibrated=image.calibrated,
        notes=image.notes,
        low=low,
        middle=middle,
        high=high,
        constant=bool(known.size and known.min() == known.max()),
        nonfinite=nonfinite,
        colourless=len(voxels) == 3 and bool((voxels[0] == voxels[1]).all() and (voxels[0] == voxels[2]).all()),
        stained=len(voxels) == 3 and stained(voxels.reshape(3, -1)),
        partial=box != Box.whole(image.shape),
        fingerprint=fingerprint(voxels),
        digest=hashlib.sha256(f"{image.channels}{image.shape}{image.dtype}".encode() + voxels.tobytes()).hexdigest(),
        contrast=_contrast(image, labels, low[0], high[0]),
    )


def _middle(image: Image) -> Box:
    """The whole image, or a box of at most about `MOST` voxels in its middle."""
    whole = Box.whole(image.shape)
    if whole.size * image.channels <= MOST:
        return whole
    side = (MOST / image.channels / whole.size) ** (1 / image.ndim)
    shape = [max(1, int(n * side)) for n in image.shape]
    start = tuple((n - s) // 2 for n, s in zip(image.shape, shape, strict=True))
    return Box(start, tuple(a + s for a, s in zip(start, shape, strict=True)))


def _percentiles(channel: NDArray[Any]) -> list[float]:
    values = channel.reshape(-1)[:: max(1, channel.size // SAMPLE)]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return [float(v) for v in np.percentile(values, [1, 50, 99.8])] if values.size else [float("nan")] * 3


def _contrast(image: Image, labels: NDArray[Any] | None, low: float, high: float) -> float:
    if labels is None or labels.shape[1:] != image.shape or not high > low or labels.size > MOST:
        return float("nan")
    inside = (labels > 0).any(0)
    outside = (labels == 0).all(0)
    if not inside.any() or not outside.any():
        return float("nan")
    voxels = image.read()[0]
    return float((np.median(voxels[inside]) - np.median(voxels[outside])) / (high - low))


def _shapeless(entry: Entry) -> tuple[MaskFacts | None, NDArray[Any] | None]:
    """Facts and labels of points or outlines, which only an image that can be read makes complete."""
    assert entry.mask is not None, "somebody asks for it"
    if entry.image is None:
        return None, None
    try:
        shape = io.read(entry.image, entry.meta.axes, entry.meta.voxel_size).shape
    except (InputError, OutOfMemory):
        return None, None  # said of the image
    layers = io.read_truth(entry.mask, shape=shape).layers
    kind: Literal["P", "L"] = "P" if is_points(entry.mask) else "L"
    dtype, high = str(layers.dtype), float(layers.max())
    return MaskFacts(shape, kind, dtype, 0.0, high, 0.0, describe(layers, False), {}), layers


def _mask(path: Path, axes: str | None) -> tuple[MaskFacts, NDArray[Any]]:
    """Facts and the labels `(L or Q, *shape)`."""
    if has_instances(path):
        stack: NDArray[Any] = io.read_instances(path).layers()
        kind = "L"
    else:
        stack, kind, _ = stored(path, axes)
    dtype, low, high = str(stack.dtype), float(stack.min()), float(stack.max())
    if stack.dtype.kind == "f":
        if not (np.isfinite(stack).all() and (stack == np.rint(stack)).all()):
            raise InputError("a label image holds whole numbers, but this one has others", path)
        stack = stack.astype(np.int64)
    if low < (0 if kind == "Q" else UNANNOTATED):
        raise InputError(f"a label image may hold -1 (unannotated), but this one holds {low:.0f}", path)
    stack = stack.astype(np.uint8) if stack.dtype == bool else stack
    unknown = float(((stack == UNANNOTATED).any(0) & ~(stack > 0).any(0)).mean()) if low < 0 else 0.0
    planes = kind == "Q"
    objects = describe(stack, planes)
    return MaskFacts(stack.shape[1:], kind, dtype, low, high, unknown, objects, parts(stack, planes)), stack
