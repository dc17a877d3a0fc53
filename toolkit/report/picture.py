"""A piece of an image with the outlines of true and predicted objects, as SVG."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.evaluation.attribution import KINDS, Fates
from toolkit.evaluation.evaluate import Judged, Pair
from toolkit.report.markup import Markup, join, tag
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

PIXELS = 480
"""Longest side of an embedded picture."""


@dataclass(frozen=True, eq=False)
class Case:
    """One image with both sets of objects and their fates."""

    name: str
    true: Instances
    predicted: Instances
    true_fates: Fates
    predicted_fates: Fates
    image: Image | None

    @classmethod
    def of(cls, pair: Pair, judged: Judged) -> Case:
        """Load an image again."""
        truth, predicted = pair.load()
        image = None if pair.image is None else pair.image()
        fits = image is not None and image.shape == truth.shape
        return cls(pair.name, truth.instances, predicted, judged.true, judged.predicted, image if fits else None)

    def around(self, objects: Instances, index: int) -> Box:
        """A window of one plane around an object: the plane where most of it lies, with room to see its neighbours."""
        box, mask = objects.mask(index)
        plane = () if mask.ndim == 2 else (box.start[0] + int(mask.sum((1, 2)).argmax()),)
        low, high = [], []
        side = max(b - a for a, b in zip(box.start[-2:], box.stop[-2:], strict=True))
        side = min(max(int(1.5 * side), side + 16, 40), 320)
        for a, b, n in zip(box.start[-2:], box.stop[-2:], objects.shape[-2:], strict=True):
            start = max(0, min((a + b - side) // 2, n - side))
            low.append(start)
            high.append(min(n, start + side))
        return Box((*plane, *low), (*(z + 1 for z in plane), *high))

    def plane(self) -> Box:
        """The whole image, or the plane of a volume that meets most objects."""
        shape = self.true.shape
        if len(shape) == 2:
            return Box.whole(shape)
        hits = np.zeros(shape[0] + 1, np.int64)
        for objects in (self.true, self.predicted):
            np.add.at(hits, objects.boxes[:, 0, 0], 1)
            np.add.at(hits, objects.boxes[:, 1, 0], -1)
        z = int(np.cumsum(hits)[:-1].argmax())
        return Box((z, 0, 0), (z + 1, *shape[1:]))

    def draw(self, box: Box, title: str, bold: Collection[tuple[str, int]] | None = None) -> Markup:
        """The window `box` with all outlines; errors are bold, or only the `bold` ones ("true" or "predicted", id)."""
        (y, x), (height, width) = box.start[-2:], box.shape[-2:]
        parts: list[Markup] = [tag("title", title)]
        if self.image is None:
            parts.append(tag("rect", x=x, y=y, width=width, height=height, fill="#16191d"))
        else:
            parts.append(
                tag(
                    "image",
                    href=_png(self.image, box),
                    x=x,
                    y=y,
                    width=width,
                    height=height,
                    preserveAspectRatio="none",
                )
            )
        for look, side, objects, fates in (
            ("t", "true", self.true, self.true_fates),
            ("p", "predicted", self.predicted, self.predicted_fates),
        ):
            for k in _touching(objects, box):
                path = _outline(objects, k, box)
                wrong = KINDS[fates.kind[k]] not in ("matched", "ignored")
                weight = "bold" if (wrong if bold is None else (side, int(fates.ids[k])) in bold) else "thin"
                if path:
                    parts += [
                        tag("path", class_=f"halo {weight}", d=path),
                        tag("path", class_=f"{look} {weight}", d=path),
                    ]
        return tag("svg", join(parts), viewBox=f"{x} {y} {width} {height}", role="img", aria_label=title)


def _touching(objects: Instances, box: Box) -> Sequence[int]:
    """Indices of the objects whose bounding box meets `box`."""
    low, high = objects.boxes[:, 0], objects.boxes[:, 1]
    return np.flatnonzero(((low < np.array(box.stop)) & (high > np.array(box.start))).all(1)).tolist()


def _outline(objects: Instances, index: int, window: Box) -> str:
    """SVG path of the border of an object in the plane of `window`, in image coordinates."""
    from skimage.measure import approximate_polygon, find_contours

    box, mask = objects.mask(index)
    if mask.ndim == 3:
        mask = mask[window.start[0] - box.start[0]]
    y, x = box.start[-2:]
    rough = max(window.shape[-2:]) / 800
    pieces = []
    for line in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):  # type: ignore[no-untyped-call]
        points = approximate_polygon(line, max(0.25, rough))  # type: ignore[no-untyped-call]
        if len(points) > 3:
            # Contours run through the centres of the padded voxels; the picture counts from their corners.
            pieces.append("M" + "L".join(f"{c + x - 0.5:.1f} {r + y - 0.5:.1f}" for r, c in points[:-1]) + "Z")
    return "".join(pieces)


def _png(image: Image, box: Box) -> str:
    """The window as a data address: grey or, for three channels of 8 bits, in colour; contrast stretched."""
    import imagecodecs

    colours = image.read(box)[: 3 if image.channels == 3 and image.dtype == np.uint8 else 1]
    picture = np.nan_to_num(colours.astype(np.float32), nan=0, posinf=0, neginf=0).reshape(
        len(colours), *box.shape[-2:]
    )
    picture = _shrunk(picture, -(-max(picture.shape[1:]) // PIXELS))
    if len(picture) == 1:
        low, high = np.percentile(picture, (0.5, 99.8))
        picture = ((picture - low) / ((high - low) or 1)).clip(0, 1)
        picture = picture ** (0.7 if picture.mean() < 0.3 else 1) * 255
    voxels = np.rint(picture).astype(np.uint8).transpose(1, 2, 0)
    data = imagecodecs.png_encode(np.ascontiguousarray(voxels[..., 0] if len(picture) == 1 else voxels), level=9)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _shrunk(picture: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """Every `by`-th pixel an average; a rest at the border is averaged with what is there."""
    if by == 1:
        return picture
    rows, columns = (np.arange(0, n, by) for n in picture.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=1), columns, axis=2)
    sizes = np.outer(np.diff(rows, append=picture.shape[1]), np.diff(columns, append=picture.shape[2]))
    return np.asarray(sums / sizes, np.float32)
