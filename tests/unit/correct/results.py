"""A small result, and somebody who corrects it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from tests.models import bright, see_through
from toolkit.cli import main

NAMES = ("a", "b", "c")


def result(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    shape: tuple[int, ...] = (48, 56),
    axes: str = "YX",
    more: tuple[str, ...] = (),
) -> Path:
    """`OUT` of some images with bright boxes, found by a model that sees through."""
    (folder / "images").mkdir(parents=True)
    for seed, name in enumerate(names):
        tifffile.imwrite(folder / "images" / f"{name}.tif", bright(shape, seed))
    see_through(folder / "model", len(axes.replace("T", "")))
    out = folder / "images.seg"
    arguments = ["run", str(folder / "images"), "--model", str(folder / "model"), "-o", str(out), "--workers", "1"]
    assert main([*arguments, "--no-preview", "--device", "cpu", "--axes", axes, *more]) == 0
    return out


def found(out: Path, name: str) -> np.ndarray:
    return np.asarray(tifffile.imread(out / f"{name}.labels.tif")).astype(np.int32)


def save(out: Path, name: str, labels: np.ndarray) -> Path:
    """As an editor saves it."""
    folder = out.with_name(out.name + ".corrections")
    path = folder / f"{name}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, labels)
    return path


def without(labels: np.ndarray, index: int = 0) -> np.ndarray:
    """One object less."""
    gone = np.unique(labels[labels > 0])[index]
    return np.where(labels == gone, 0, labels).astype(labels.dtype)
