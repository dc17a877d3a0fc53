"""All that lies below a folder: what can be an image, and what is passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.io.paths import COMPANION, OUTPUTS, is_image, is_vendor, is_zarr

RESULT = "named as results are"
HIDDEN = "hidden"


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is not read, and why."""

    path: Path
    why: str = "no image"


def below(folder: Path) -> Iterator[Path | Skipped]:
    """Images in a folder and all folders in it, also through links, and what else lies there: outputs of runs, what
    people correct in them, what is hidden, and a link that leads back to where it lies, which is not followed."""
    yield from _walk(folder, ())


def _walk(
    folder: Path, above: tuple[tuple[int, int], ...], sets: frozenset[Path] = frozenset()
) -> Iterator[Path | Skipped]:
    """`sets` are files that a companion in a folder above describes, which stands for them."""
    about = folder.stat()
    here = (about.st_dev, about.st_ino)
    if here in above:
        yield Skipped(folder, "a link to a folder around it")
        return
    found: list[Path] = []
    inside = sorted(Path(entry.path) for entry in os.scandir(folder))
    sets |= {folder / name for path in inside for name in _described(path) if "/" in name}
    for path in inside:
        if path.name.startswith("."):
            yield Skipped(path, HIDDEN)
        elif path.is_dir():
            if not os.access(path, os.R_OK | os.X_OK):
                yield Skipped(path, "a folder that may not be looked into")
                continue
            image = is_image(path)
            if is_zarr(path / "instances") if image else path.name.endswith((".seg", ".work", ".corrections")):
                yield Skipped(path, RESULT)
            elif image:
                found.append(path)
            else:
                yield from _walk(path, (*above, here), sets)
        elif not path.exists():
            yield Skipped(path, "a link to nothing")
        elif path.name.lower().endswith(OUTPUTS) or path.name == "run.json":
            yield Skipped(path, RESULT)
        elif is_image(path):
            found += [path] * (path not in sets)
        elif is_vendor(path):
            from toolkit.io.vendor import advice

            yield Skipped(path, advice(path))
        else:
            yield Skipped(path)
    yield from _once(found)


def _described(path: Path) -> tuple[str, ...]:
    """Names of the files of a companion; none of what is no companion."""
    if not path.name.lower().endswith(COMPANION) or path.name.startswith("."):
        return ()
    from toolkit.io.ometiff import files_of

    return files_of(path)


def _once(found: list[Path]) -> Iterator[Path]:
    """The images of one folder, of a set of OME-TIFFs that make one image only the first, or their companion."""
    sets = [p for p in found if p.name.lower().endswith((".ome.tif", ".ome.tiff", COMPANION))]
    parts: set[str] = set()
    if len(sets) > 1:
        from toolkit.io.ometiff import files_of

        for path in sorted(sets, key=lambda p: not p.name.lower().endswith(COMPANION)):
            if path.name not in parts:
                parts |= {*files_of(path)} - {path.name}
    yield from (path for path in found if path.name not in parts)
