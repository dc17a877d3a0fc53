"""Objects as GeoJSON, as QuPath reads it: overlaps and holes are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.exchange.trace import Outline, Ring, outlines
from toolkit.values.instances import Instances
from toolkit.values.shown import colours

ROWS = 5000
"""Objects that are written at once."""
CLASS = "class"
"""The column whose values are QuPath's classes."""


def write_geojson(path: Path, instances: Instances, table: Mapping[str, NDArray[Any]]) -> None:
    """A FeatureCollection of one detection per object, in a volume per object and plane; the numbers of the table are
    its measurements. Coordinates are pixels of the full resolution, the first pixel covers 0 … 1."""
    properties = _properties(instances, table)
    with path.open("w", encoding="utf8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        left, before = outlines(instances), ""
        while part := [_feature(one, properties) for one in islice(left, ROWS)]:
            file.write(before + ",\n".join(part))
            before = ",\n"
        file.write("]}\n")


def _feature(one: Outline, properties: list[str]) -> str:
    polygons = ["[" + ",".join(map(_ring, rings)) + "]" for rings in one.polygons]
    many = len(polygons) > 1
    kind, corners = ("MultiPolygon", f"[{','.join(polygons)}]") if many else ("Polygon", polygons[0])
    z = one.plane[-1] if one.plane else 0
    t = one.plane[0] if len(one.plane) > 1 else 0
    plane = f',"plane":{{"c":-1,"z":{z},"t":{t}}}' if one.plane else ""
    shape = f'{{"type":"{kind}","coordinates":{corners}{plane}}}'
    return f'{{"type":"Feature","geometry":{shape},"properties":{properties[one.id - 1]}}}'


def _ring(ring: Ring) -> str:
    """The corners, the first again at the end."""
    x, y = ring.T.tolist()
    inner = "],[".join([f"{a},{b}" for a, b in zip(x, y, strict=True)])
    return f"[[{inner}],[{x[0]},{y[0]}]]"


def _properties(instances: Instances, table: Mapping[str, NDArray[Any]]) -> list[str]:
    """QuPath's properties of each object, as JSON."""
    numbers = {n: c.astype(np.float64) for n, c in table.items() if c.dtype.kind in "biuf" and n not in ("id", CLASS)}
    names = [json.dumps(name) for name in numbers]
    kinds = np.asarray(table[CLASS]).astype(str) if CLASS in table else None
    known, index = (None, None) if kinds is None else np.unique(kinds, return_inverse=True)
    palette = colours(0 if known is None else len(known)).tolist()
    classes = [
        f',"classification":{{"name":{json.dumps(str(name))},"color":{json.dumps(colour)}}}'
        for name, colour in zip([] if known is None else known, palette, strict=True)
    ]
    rows = (
        zip(*(c.tolist() for c in numbers.values()), strict=True)
        if numbers
        else iter(() for _ in range(len(instances)))
    )
    found = []
    for k, row in enumerate(rows):
        said = ",".join([f"{name}:{value:.9g}" for name, value in zip(names, row, strict=True) if value - value == 0])
        group = "" if index is None else classes[index[k]]
        found.append(f'{{"objectType":"detection","name":"{k + 1}"{group},"measurements":{{{said}}}}}')
    return found
