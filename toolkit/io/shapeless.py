"""Annotation that does not say how large its image is: tables of points and outlines."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from toolkit.io.contours import contours_stem, is_contours
from toolkit.io.points import is_points, points_stem


def is_shapeless(path: Path) -> bool:
    """Whether `path` looks so by its name."""
    return is_points(path) or is_contours(path)


def shapeless_stem(path: Path) -> str:
    """The stem that pairs it with its image, in one spelling of accents."""
    return unicodedata.normalize("NFC", points_stem(path) if is_points(path) else contours_stem(path))
