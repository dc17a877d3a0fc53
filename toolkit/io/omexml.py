"""OME-XML: what the images of an OME-TIFF are, and in which file and page each of their planes lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from toolkit.io.units import micrometres, seen


@dataclass(frozen=True)
class Block:
    """Planes from number `first` on, counted in the order of the image: `count` pages (None: all) from page `ifd` on of
    the file with this name, perhaps in a folder below, or UUID; both are None for the file that says it."""

    first: int
    ifd: int
    count: int | None
    file: str | None
    uuid: str | None


@dataclass(frozen=True)
class Described:
    """An image. `sizes` by axis letter; `order` names the axes before YX, slowest first; `samples` per pixel; `bare`:
    it says that it describes no pixels."""

    sizes: dict[str, int]
    order: str
    samples: int
    voxel_size: dict[str, float]
    channel_names: tuple[str, ...]
    blocks: tuple[Block, ...]
    bare: bool = False

    @property
    def lead(self) -> tuple[int, ...]:
        """Planes along each axis of `order`."""
        return tuple(self.sizes[c] // (self.samples if c == "C" else 1) for c in self.order)

    @property
    def planes(self) -> int:
        return prod(self.lead)


@dataclass(frozen=True)
class Document:
    """All images of a file or a set of files; `companion` names the file that describes them instead of this one."""

    uuid: str | None
    companion: str | None
    images: tuple[Described, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files that hold planes, as far as they are named."""
        return tuple(dict.fromkeys(b.file for image in self.images for b in image.blocks if b.file))

    def in_order(self, pages: int) -> Document:
        """Where no image says where its planes lie, they are the `pages` of the file that says it, one after the
        other. Raises `ValueError` where there are fewer, or others where it says that it describes no pixels."""
        if any(image.blocks for image in self.images):
            return self
        planes, first, images = sum(image.planes for image in self.images), 0, list[Described]()
        if pages < planes or (pages != planes and any(image.bare for image in self.images)):
            raise ValueError(f"it describes {planes} planes and the file has {pages}")
        for image in self.images:
            images.append(replace(image, blocks=(Block(0, first, image.planes, None, None),)))
            first += image.planes
        return replace(self, images=tuple(images))


def parse(text: str) -> Document | None:
    """What OME-XML says, None if it is none. Raises `ValueError` or `KeyError` where it contradicts itself."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # no writer of OME-XML has any; entities may grow without end
        return None
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return None
    if _name(root) != "OME":
        return None
    pointer = next(_children(root, "BinaryOnly"), None)
    companion = None if pointer is None else _base(pointer.get("MetadataFile"))
    pixels = (p for image in _children(root, "Image") for p in _children(image, "Pixels"))
    return Document(root.get("UUID"), companion, tuple(map(_described, pixels)))


def _described(pixels: Any) -> Described:
    sizes = {c: int(pixels.attrib[f"Size{c}"]) for c in "TCZYX"}
    order = "".join(reversed(pixels.attrib["DimensionOrder"]))[:-2]
    if min(sizes.values()) < 1 or sorted(order) != ["C", "T", "Z"]:
        raise ValueError(f"{sizes} in the order {order}")
    lengths = {c: micrometres(pixels.get(f"PhysicalSize{c}"), pixels.get(f"PhysicalSize{c}Unit", "µm")) for c in "ZYX"}
    channels = list(_children(pixels, "Channel"))
    samples = {int(c.get("SamplesPerPixel", 1)) for c in channels} or {1}
    if len(samples) > 1 or sizes["C"] % min(samples):
        raise ValueError("channels with different samples per pixel")
    return Described(
        sizes,
        order,
        samples.pop(),
        seen({c: v for c, v in lengths.items() if v is not None}),
        tuple(c.get("Name", "") for c in channels) if any(c.get("Name") for c in channels) else (),
        tuple(_block(b, order, sizes, channels) for b in _children(pixels, "TiffData")),
        next(_children(pixels, "MetadataOnly"), None) is not None,
    )


def _block(data: Any, order: str, sizes: dict[str, int], channels: list[Any]) -> Block:
    samples = int(channels[0].get("SamplesPerPixel", 1)) if channels else 1
    first = 0
    for c in order:
        size, at = sizes[c] // (samples if c == "C" else 1), int(data.get(f"First{c}", 0))
        if not 0 <= at < size:
            raise ValueError(f"First{c} is {at} of {size}")
        first = first * size + at
    counted = data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else None))
    source = next(_children(data, "UUID"), None)
    file, uuid = (
        (None, None) if source is None else (_below(source.get("FileName")), (source.text or "").strip() or None)
    )
    return Block(first, int(data.get("IFD", 0)), None if counted is None else int(counted), file, uuid)


def _below(name: str | None) -> str | None:
    """A name with the folders below that of the set in which it lies; what points elsewhere is a name without any."""
    path = PurePosixPath((name or "").replace("\\", "/"))
    inside = not path.is_absolute() and ".." not in path.parts and not any(":" in part for part in path.parts[:-1])
    return path.as_posix() if inside and path.name else _base(name)


def _base(name: str | None) -> str | None:
    """A name without folders: what else a file may point at is not opened."""
    return PurePosixPath(name.replace("\\", "/")).name or None if name else None


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(element: Any, name: str) -> Iterator[Any]:
    return (child for child in element if _name(child) == name)
