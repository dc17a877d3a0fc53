"""Opens a result that somebody drops on napari: its folder, or one of the files in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from toolkit.correct.result import Result, Segmented, opened
from toolkit.io.paths import OUTPUTS
from toolkit.napari.layers import Layer, shown
from toolkit.running.trespass import RECORD

Paths = str | Sequence[str]


def reader(path: Paths) -> Callable[[Paths], list[Layer]] | None:
    """What reads `path`, or None if it is no result, so that napari asks another reader."""
    found = result_at(Path(path if isinstance(path, str) else path[0]))
    return None if found is None else lambda _: shown(*found)


def result_at(path: Path) -> tuple[Result, Segmented] | None:
    """The result and the image that a path means: of a folder the first image, of a file in it that image."""
    if (path / RECORD).is_file():
        result = opened(path)
        return (result, result.images[0]) if result.images else None
    if not (path.name.lower().endswith(OUTPUTS) or path.suffix == ".zarr"):
        return None
    for folder in path.absolute().parents:
        if (folder / RECORD).is_file():
            result = opened(folder)
            there = path.absolute()
            for image in result.images:
                names = {image.zarr.name, *(f"{image.zarr.stem}{ending}" for ending in OUTPUTS)}
                if image.zarr.absolute().parent == there.parent and there.name in names:
                    return result, image
    return None
