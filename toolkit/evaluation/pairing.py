"""Which prediction belongs to which truth: by stem."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from toolkit import io
from toolkit.errors import InputError, nearest
from toolkit.evaluation.evaluate import Pair
from toolkit.io.shapeless import is_shapeless
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

ENDINGS = (
    ".labels.tif",
    ".labels.tiff",
    ".ome.zarr",
    ".ome.tif",
    ".ome.tiff",
    ".zarr",
    ".tif",
    ".tiff",
    ".png",
    ".bmp",
)
"""Endings of label files; of two files with one stem the one that keeps scores and overlaps is taken: zarr, labels."""
PREFERRED = (".zarr", ".labels.tif", ".labels.tiff")


def pairs(
    predicted: str | Path,
    truth: str | Path,
    predicted_axes: str | None = None,
    truth_axes: str | None = None,
    partly: bool = False,
) -> list[Pair]:
    """Pairs of label images or instances in `predicted` (a file or a folder) and `truth` (also `DIR:SPLIT`).

    A file is paired with a file whatever they are called, with a folder by its stem; two folders must hold the same
    stems. `partly`: the truth names some of the objects, so that its background is unannotated. Raises `InputError`
    that names what is missing.
    """
    found = _pairs(predicted, truth, predicted_axes, truth_axes)
    return [replace(p, truth=partial(_partly, p.truth)) for p in found] if partly else found


def _pairs(predicted: str | Path, truth: str | Path, predicted_axes: str | None, truth_axes: str | None) -> list[Pair]:
    sources, true = _predictions(predicted, predicted_axes), _truths(str(truth), truth_axes)
    if len(sources) == 1 and len(true) == 1 and Path(predicted).is_file() and Path(truth).is_file():
        (name, load), ((read, image),) = next(iter(sources.items())), true.values()
        if is_shapeless(Path(truth)):
            read = partial(_read_shapeless, Path(truth), load)
        return [Pair(name, read, load, image)]
    lost = sorted(sources.keys() - true.keys())
    if lost:
        raise InputError("a prediction has no truth", f"{_list(lost)} in {truth}", nearest(lost[0], true))
    if not _is_one(Path(predicted)):
        lost = sorted(true.keys() - sources.keys())
        if lost:
            raise InputError("an image has no prediction", f"{_list(lost)} in {predicted}",
                             "predict these images too, or name a split: DIR:SPLIT")  # fmt: skip
    return [Pair(name, true[name][0], sources[name], true[name][1]) for name in sorted(sources)]


def _predictions(path: str | Path, axes: str | None) -> dict[str, Callable[[], Instances]]:
    return {name: partial(_read_instances, file, axes) for name, file in _files(Path(path)).items()}


def _truths(path: str, axes: str | None) -> dict[str, tuple[Callable[[], Truth], Callable[[], Image] | None]]:
    """By stem, how to load the truth and, from a data set, the image."""
    folder = Path(path)
    if folder.name == "masks" and axes is None and (folder.parent / "meta.json").is_file():
        folder = folder.parent
    if not folder.exists() or (folder / "meta.json").is_file():
        data = io.open_dataset(str(folder))
        return {item.name: (partial(_read_item, data, item), partial(_read_image, data, item)) for item in data.items}
    return {name: (partial(_read_truth, file, axes), None) for name, file in _files(folder).items()}


def _read_instances(path: Path, axes: str | None) -> Instances:
    return io.read_instances(path, axes=axes)


def _read_truth(path: Path, axes: str | None) -> Truth:
    return io.read_truth(path, axes=axes)


def _partly(truth: Truth | Callable[[], Truth]) -> Truth:
    """The truth, in which all that is no object is unannotated."""
    whole = truth if isinstance(truth, Truth) else truth()
    return replace(whole, layers=np.where(whole.covered > 0, np.maximum(whole.layers, 0), np.int32(UNANNOTATED)))


def _read_shapeless(path: Path, predicted: Callable[[], Instances]) -> Truth:
    """As large as the image of the prediction, for the file does not say how large it is."""
    return io.read_truth(path, shape=predicted().shape)


def _read_item(data: io.Dataset, item: io.Item) -> Truth:
    return data.truth(item)


def _read_image(data: io.Dataset, item: io.Item) -> Image:
    return data.image(item)


def _files(path: Path) -> dict[str, Path]:
    """Label files by stem, relative to the folder `path`; or the one file."""
    if not path.exists():
        raise InputError("no such file or folder", path, "check the path")
    if _is_one(path):
        return {_stem(path): path}
    if not path.is_dir():
        raise InputError("this is no file and no folder", path, "name a label file or a folder of them")
    found: dict[str, Path] = {}
    for file in sorted(_walk(path)):
        name = (file.parent.relative_to(path) / _stem(file)).as_posix()
        if name not in found or _rank(file) < _rank(found[name]):
            found[name] = file
    if any(_rank(file) < len(PREFERRED) for file in found.values()):
        # The folder of a run also holds pictures; only the results count there.
        found = {name: file for name, file in found.items() if _rank(file) < len(PREFERRED)}
    if not found:
        raise InputError("the folder holds no label image", path, f"expected files such as {', '.join(ENDINGS[:3])}")
    return found


def _walk(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name.endswith(ENDINGS):
            yield path
        elif path.is_dir():
            yield from _walk(path)


def _is_one(path: Path) -> bool:
    return path.is_file() or path.name.endswith(".zarr")


def _rank(path: Path) -> int:
    return next((k for k, end in enumerate(PREFERRED) if path.name.endswith(end)), len(PREFERRED))


def _stem(path: Path) -> str:
    end = next((end for end in ENDINGS if path.name.endswith(end)), path.suffix)
    return unicodedata.normalize("NFC", path.name.removesuffix(end))


def _list(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
