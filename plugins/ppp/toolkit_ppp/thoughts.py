"""What PatchPerPix thought of an image: the paper's figures of scores, selection and patch graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Marks, Thought, Voxels
from toolkit_ppp import assembly
from toolkit_ppp.graph import Edges
from toolkit_ppp.options import Options
from toolkit_ppp.patches import read


def thoughts(piece: Voxels, options: Options, backend: Backend, graph: bool) -> dict[str, Thought]:
    """`scores`: that of each patch at its centre (Eq 5), −1 … 1; `selection`: the centres of the selected patches with
    their scores; `graph`, if wanted: lines of paff (Eq 6) between them, below 0 where they repel."""
    patches = read(piece, options, backend)
    scored = assembly.scored(piece, patches, options, backend)
    selection = assembly.selected([scored], options)
    field = np.zeros((1, *piece.shape), np.float32)
    field.reshape(-1)[scored.centres] = scored.agreement / (16384.0 * np.maximum(scored.pairs, 1))
    found: dict[str, Thought] = {
        "scores": field,
        "selection": Marks("points", _places(selection.centres, piece.shape), values=selection.scores),
    }
    if graph:
        edges = Edges.merge([assembly.linked(piece, patches, selection, options, backend).edges])
        first, second = (_places(end, piece.shape) for end in (edges.first, edges.second))
        found["graph"] = Marks("lines", first, second, edges.total / (16384.0 * edges.count))
    return found


def _places(index: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.stack(np.unravel_index(index, shape), axis=1)
