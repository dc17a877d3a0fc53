"""What is seen of images, in words: for one, and for all of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.values.image import Image


def described(image: Image, shape: Sequence[int], shrink: Sequence[int], frames: int = 1) -> str:
    """Axes, size, channel and voxel size of an image that was perhaps shrunk from `shape`."""
    letters, sizes = image.axes[1:].lower(), "×".join(map(str, shape))
    time = f"{frames} frames, " if frames > 1 else ""
    size = tuple(v / s for v, s in zip(image.voxel_size, shrink, strict=True))
    what = "pixel size" if image.ndim == 2 else "voxel size"
    if image.calibrated:
        numbers = "×".join(f"{v:.4g}" for v in (size[:1] if len({*size}) == 1 else size))
        known = f"{what} {numbers} µm" + (f" ({image.origin})" if image.origin else "")
    else:
        known = f"{what} unknown (say --voxel-size)"
    return f"{image.name}  {time}{letters} {sizes}  {image.seen}  {known}"


def counted(seen: Sequence[str]) -> str:
    """Once for many images: what was seen of how many, if that differs; else nothing."""
    kinds = Counter(seen)
    return ", ".join(f"{n} × {kind}" for kind, n in kinds.most_common()) if len(kinds) > 1 else ""


def nothing(image: Image, channels: int) -> str:
    """What to try where no object was found."""
    tries = ["another --channel" * (channels > 1), "--axes" * (image.ndim == 3), "other thresholds with --set"]
    return f"no object was found in {image.seen}; try " + ", ".join(filter(None, tries))
