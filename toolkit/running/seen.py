"""What is seen of images, in words: for one, and for all of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling


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
