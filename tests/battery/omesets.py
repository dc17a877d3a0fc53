"""OME-TIFFs as their writers make them: sets of files, companions, stale and contradictory descriptions."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import tifffile

NAMESPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
Blocks = list[tuple[str, int, str, int]]
"""Axis, index along it, file and page of planes."""


def uuid(name: str) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{sum(map(ord, name)) * 7919:012d}"


def pixels(
    shape: tuple[int, int, int, int, int],
    blocks: Blocks,
    size: float = 0.5,
    unit: str = "",
    names: tuple[str, ...] = (),
) -> str:
    """`Image` of TCZYX `shape`; each block is one plane."""
    t, c, z, y, x = shape
    data = "".join(
        f'<TiffData First{axis}="{at}" IFD="{page}" PlaneCount="1"><UUID FileName="{file}">{uuid(file)}</UUID>'
        "</TiffData>"
        for axis, at, file, page in blocks
    )
    channels = "".join(
        f'<Channel ID="Channel:0:{i}" SamplesPerPixel="1" Name="{names[i] if names else f"c{i}"}"/>' for i in range(c)
    )
    length = f' PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}"' if unit else ""
    return (
        f'<Image ID="Image:{abs(hash(str(blocks))) % 1000}"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        f'SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="{c}" SizeT="{t}" PhysicalSizeX="{size}" PhysicalSizeY="{size}"'
        f"{length}>{channels}{data}</Pixels></Image>"
    )


def ome(images: str, me: str, more: str = "") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><OME {NAMESPACE} UUID="{uuid(me)}">{more}{images}</OME>'


def write(path: Path, planes: np.ndarray, text: str, **options: object) -> Path:
    """Each plane of `(N, Y, X)` is a page; the text is the description of the first."""
    with tifffile.TiffWriter(path) as tif:
        for n, plane in enumerate(planes):
            tif.write(plane, description=text.encode() if n == 0 else None, metadata=None, photometric="minisblack",
                      contiguous=False, **options)  # fmt: skip
    return path


def positions(folder: Path, images: dict[str, np.ndarray], **options: object) -> None:
    """One file each, all of which describe all images, with pixels of 0.5, 1.5, 2.5 … µm."""
    text = "".join(
        pixels((1, 1, 1, *image.shape), [("Z", 0, name, 0)], 0.5 + n, names=(f"of {name}",))
        for n, (name, image) in enumerate(images.items())
    )
    for name, image in images.items():
        write(folder / name, image[None], ome(text, name), **options)


def slices(folder: Path, stack: np.ndarray, companion: str | None = None, form: str = "NFC") -> list[str]:
    """A stack `(Z, Y, X)` with one file per slice; described in each file, or in a companion file."""
    names = [f"sé_{z}.ome.tif" if form != "NFC" else f"s_{z}.ome.tif" for z in range(len(stack))]
    text = pixels((1, 1, *stack.shape), [("Z", z, name, 0) for z, name in enumerate(names)])
    names = [unicodedata.normalize(form, name) for name in names]
    if companion:
        (folder / companion).write_text(ome(text, companion), encoding="utf8")
    for name, plane in zip(names, stack, strict=True):
        pointer = f'<BinaryOnly MetadataFile="{companion}" UUID="{uuid(companion)}"/>' if companion else ""
        write(folder / name, plane[None], ome("" if companion else text, name, pointer))
    return names
