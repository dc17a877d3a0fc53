"""The images that `seg demo` shows methods on."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import StorageError, UsageError, nearest

TISSUE = "tissue"
FILAMENTS = "filaments"


def picture(name: str, beside: Path, drawn: Path) -> Path:
    """The file of an image: `tissue` (colon, comes with scikit-image), `filaments` (generated, into the file `drawn`),
    or that of this name in the folder `beside`."""
    if name == TISSUE:
        return _tissue()
    if name == FILAMENTS:
        return _filaments(drawn)
    path = beside / name
    if path.parent != beside or not path.is_file():
        raise UsageError("no such picture for a demo", path, nearest(name, (TISSUE, FILAMENTS)))
    return path


def _tissue() -> Path:
    from importlib.util import find_spec

    spec = find_spec("skimage")
    assert spec is not None, "scikit-image is a dependency"
    assert spec.origin is not None, "scikit-image is a package"
    return Path(spec.origin).parent / "data" / "ihc.png"


def _filaments(path: Path) -> Path:
    import tifffile

    from toolkit.demo.filaments import filaments

    image, _ = filaments((512, 512), 40, seed=7)
    try:
        tifffile.imwrite(path, image, metadata={"axes": "YX"})
    except OSError as error:
        raise StorageError("cannot write the image of the demo", path, "choose another -o") from error
    return path
