"""Objects as ImageJ's regions of interest: a zip that its ROI manager opens."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np

from toolkit.exchange.trace import Outline, outlines
from toolkit.values.instances import Instances

VERSION, POLYGON, RECTANGLE = 228, 0, 1
HEADER, HEADER2 = 64, 64
MOST = 2**15
"""Coordinates of ImageJ's polygons are 16-bit; what lies farther out is written as a path of floats."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: equal objects are equal bytes."""


def write_rois(path: Path, instances: Instances) -> None:
    """One ROI per object, in a volume per object and plane: `ID.roi`, `ID-PLANE.roi`. Rings with holes, or of several
    pieces, are composite."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in outlines(instances):
            name = "-".join(map(str, (one.id, *(n + 1 for n in one.plane))))
            archive.writestr(zipfile.ZipInfo(f"{name}.roi", EPOCH), _roi(one, name), zipfile.ZIP_DEFLATED)


def _roi(one: Outline, name: str) -> bytes:
    rings = [ring for polygon in one.polygons for ring in polygon]
    corners = np.concatenate(rings)
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    simple = len(rings) == 1 and max(right, bottom) < MOST and len(rings[0]) < MOST
    if simple:
        body: bytes = (corners - [left, top]).T.astype(">i2").tobytes()
        kind, count, segments = POLYGON, len(corners), 0
    else:
        steps: list[float] = []
        for ring in rings:
            for number, (x, y) in enumerate(ring.tolist()):
                steps += [float(number > 0), x, y]
            steps.append(4.0)  # closes the ring
        body, kind, count, segments = np.array(steps, ">f4").tobytes(), RECTANGLE, 0, len(steps)
    z = one.plane[-1] + 1 if one.plane else 0
    t = one.plane[0] + 1 if len(one.plane) > 1 else 0
    text = name.encode("utf-16-be")
    second = HEADER + len(body)
    box = [min(int(v), MOST - 1) for v in (top, left, bottom, right)]
    head = struct.pack(">4shBB4hH", b"Iout", VERSION, kind, 0, *box, count).ljust(36, b"\0")
    head += struct.pack(">i", segments).ljust(20, b"\0")  # no stroke, no options
    head += struct.pack(">ii", z, second)
    extra = struct.pack(">4i", 0, 0, z, t) + struct.pack(">2i", second + HEADER2, len(name))
    return head + body + extra.ljust(HEADER2, b"\0") + text
