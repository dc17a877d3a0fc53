"""Files of Leica (LIF) as their readers describe the format: a header in XML, then blocks of memory."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4}
"""Numbers of the axes in the format."""
STEPS = {"X": 2e-7, "Y": 2e-7, "Z": 1e-6, "T": 1.0}
"""Metres, or seconds, from one element to the next."""


def lif(path: Path, images: dict[str, tuple[str, np.ndarray]]) -> Path:
    """Write images, each of axes such as `TCZYX` and an array."""
    parts = [_element(name, number, *image) for number, (name, image) in enumerate(images.items())]
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" Visibility="1" CopyOption="1" UniqueID="0">'
        f'<Data/><Memory Size="0" MemoryBlockID="MemBlock_0"/><Children>{"".join(parts)}</Children></Element>'
        "</LMSDataContainerHeader>"
    )
    data = _chunk(struct.pack("<BI", 0x2A, len(xml)) + xml.encode("utf-16-le"))
    for number, (_, array) in enumerate(images.values(), 1):
        name = f"MemBlock_{number}"
        head = struct.pack("<BQBI", 0x2A, array.nbytes, 0x2A, len(name)) + name.encode("utf-16-le")
        data += _chunk(head) + np.ascontiguousarray(array).tobytes()
    path.write_bytes(data)
    return path


def _chunk(content: bytes) -> bytes:
    return struct.pack("<II", 0x70, len(content)) + content


def _element(name: str, number: int, axes: str, array: np.ndarray) -> str:
    bits = 8 * array.dtype.itemsize
    steps = dict(zip(axes, np.ascontiguousarray(array).strides, strict=True))
    sizes = dict(zip(axes, array.shape, strict=True))
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="1"'
        f' Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="{c * steps.get("C", 0)}" BitInc="0"/>'
        for c in range(sizes.get("C", 1))
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{DIMENSIONS[c]}" NumberOfElements="{sizes[c]}" Origin="0" '
        f'Length="{STEPS[c] * (sizes[c] - 1)}" Unit="{"s" if c == "T" else "m"}" BytesInc="{steps[c]}" BitInc="0"/>'
        for c in "XYZT"
        if c in sizes
    )
    return (
        f'<Element Name={quoteattr(name)} Visibility="1" CopyOption="1" UniqueID="{number + 1}"><Data><Image '
        f'TextDescription=""><ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>'
        f'</ImageDescription></Image></Data><Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number + 1}"/>'
        "<Children/></Element>"
    )
