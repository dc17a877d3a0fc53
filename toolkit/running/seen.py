"""What is seen of images, in words: for one, and for all of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.steps.normalise import Scale
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling

BRIGHT = 0.5
"""The median of scaled images of fluorescence is at most 0.2, that of their negatives at least 0.7."""


def described(image: Image, seen: str, frames: int = 1) -> str:
    """Axes, size and voxel size of an image, and the channels of it that are `seen`."""
    letters, sizes = image.axes[1:].lower(), "×".join(map(str, image.shape))
    time = f"{frames} frames, " if frames > 1 else ""
    size = image.voxel_size
    what = "pixel size" if image.ndim == 2 else "voxel size"
    if image.calibrated:
        numbers = "×".join(f"{v:.4g}" for v in (size[:1] if len({*size}) == 1 else size))
        known = f"{what} {numbers} µm" + (f" ({image.origin})" if image.origin else "")
    else:
        known = f"{what} unknown (say --voxel-size)"
    return f"{image.name}  {time}{letters} {sizes}  {seen}  {known}"


def counted(seen: Sequence[str]) -> str:
    """Once for many images: what was seen of how many, if that differs; else nothing."""
    kinds = Counter(seen)
    return ", ".join(f"{n} × {kind}" for kind, n in kinds.most_common()) if len(kinds) > 1 else ""


def resized(sizes: Sequence[Rescaling]) -> str:
    """How many of many images are seen at another size, and between which; nothing if none is."""
    some = [max(one.by) for one in sizes if one.by]
    if not some:
        return ""
    low, high = (f"×{f:.3g}" for f in (min(some), max(some)))
    return f"{len(some)} of {len(sizes)} images are seen at {low}" + (f" to {high}" if high != low else "")


def ground(seen: str, scale: Scale, knows: Sequence[str]) -> tuple[str, ...]:
    """What is odd about the values of an image, of which `seen` tells what was seen: those far from all others, and a
    bright ground where the model learnt nuclei on a dark one, as a model that `knows` a stain has."""
    notes = (scale.far,) if scale.far else ()
    if "haematoxylin" in knows and scale.middle > BRIGHT and not seen.startswith("haematoxylin"):
        notes = (*notes, "most of the image is bright, and the model learnt bright objects on dark ground: "
                         "if the objects are dark here, invert the image")  # fmt: skip
    return notes


def nothing(image: Image, channels: int, sized: Rescaling) -> str:
    """What to try where no object was found."""
    size = "--diameter off" if sized.by else "--diameter with that of the objects"
    tries = ["another --channel" * (channels > 1), size, "--axes" * (image.ndim == 3), "other thresholds with --set"]
    return f"no object was found in {image.seen}; try " + ", ".join(filter(None, tries))
