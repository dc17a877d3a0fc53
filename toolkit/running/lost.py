"""Why nothing is left of what was found in an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.running.mask import covered
from toolkit.running.options import Options
from toolkit.values.image import Image


def lost(scores: NDArray[np.float32], options: Options, frames: Sequence[Image]) -> str:
    """What removed all objects, which had these `scores` `(N,)`, from the images of a series; nothing if none was
    found."""
    if not len(scores):
        return ""
    found = "1 object was found, but" if len(scores) == 1 else f"{len(scores)} objects were found, but"
    if not (scores >= options.min_score).any():
        best = np.floor(float(scores.max()) * 1e4) / 1e4  # rounded, it might be the one that is asked for
        return f"{found} none has a score of {options.min_score:g} (--min-score); the highest is {best:g}"
    if options.mask is not None and not any(covered(options.mask, one, n).any() for n, one in enumerate(frames)):
        return f"{found} the mask {Path(options.mask).name} is empty: it is 0 everywhere (--mask)"
    part = " and ".join(["--roi"] * (options.roi is not None) + ["--mask"] * (options.mask is not None))
    return f"{found} none lies where {part} want{'s' * (' ' not in part)} them"
