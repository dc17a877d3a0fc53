"""Small real data and results of published programs, which lie in this folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent


def published(name: str) -> dict[str, np.ndarray]:
    """What a published program was given and gave, with the arrays that it shares with other results."""
    found: dict[str, np.ndarray] = {}
    for path in sorted((FOLDER / "published").glob("*.npz")):
        if name == path.stem or name.startswith(f"{path.stem}_"):
            with np.load(path, allow_pickle=False) as data:
                found.update(data)
    if not found:
        raise FileNotFoundError(name)
    return found


def zoo_package(version: str, folder: Path) -> Path:
    """A package of the real zoo model in format `0_4` or `0_5`, written to `folder`."""
    other = {"0_4": "bioimageio.yaml", "0_5": "rdf.yaml"}[version]
    target = folder / f"nuclei-broad-onnx-v{version}.zip"
    with zipfile.ZipFile(FOLDER / "nuclei-broad-onnx.zip") as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            if name != other:
                archive.writestr(name, source.read(name))
    return target
