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
    import io

    import tifffile

    from toolkit.demo.filaments import filaments
    from toolkit.files import whole

    image, _ = filaments((512, 512), 40, seed=7)
    drawn = io.BytesIO()
    tifffile.imwrite(drawn, image, metadata={"axes": "YX"})
    try:
        whole.replaceable(path)
        if path.exists() and path.read_bytes() != drawn.getvalue():
            raise UsageError("another image has the name of that of the demo", path, "choose another -o")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole.file(path) as made:
            made.write_bytes(drawn.getvalue())
    except OSError as error:
        raise StorageError("cannot write the image of the demo", path, "choose another -o") from error
    return path
