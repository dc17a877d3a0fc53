"""The patch that fits the objects."""

from __future__ import annotations

import numpy as np

from toolkit.api import Because, Survey

EXTENTS = {2: (9, 41), 3: (5, 15)}
"""Least and largest extent of a patch, by the number of axes."""


def fitting(survey: Survey) -> Because:
    """A patch as long as the median object, but no more than 2.5 times its width."""
    low, high = EXTENTS[survey.ndim]
    extent, width = np.median(survey.extents, axis=0), float(np.median(survey.widths))
    side = np.clip(np.minimum(extent, 2.5 * width), low, high)
    size = "×".join(f"{e:.0f}" for e in extent)
    return Because(
        [min(int(n) // 2 * 2 + 1, high) for n in side], f"objects extend over {size} and are {width:.0f} wide"
    )
