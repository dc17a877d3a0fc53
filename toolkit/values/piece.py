"""What a method keeps of one window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.errors import PluginError
from toolkit.values import voxels
from toolkit.values.fragment import Fragment
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box, Window
from toolkit.values.voxels import Voxels

Piece = Prediction | Voxels | Fragment
"""Dense heads, or some voxels with what is known of them: of one window, or of a block and its halo where pieces are
joined; or the objects of a whole window, which are stitched. All have `box`, `core`, `shape` and `crop(box)`."""


def form(piece: Piece) -> dict[str, Any]:
    """What it holds of a voxel: the channels of each head, or dtype and shape of each value; of an object, those of its
    attributes. Equal for all windows."""
    if isinstance(piece, Prediction):
        return {name: len(head) for name, head in piece.heads.items()}
    if isinstance(piece, Fragment):
        return {name: (str(v.dtype), v.shape[1:]) for name, v in piece.instances.attributes.items()}
    return voxels.form(piece)


def vacant(like: Piece, window: Window, xp: Any) -> Piece:
    """The piece of a window in which there is nothing, of the form of another window's: heads of it are 0."""
    core = window.core
    if isinstance(like, Prediction):
        heads = {name: xp.zeros((len(head), *core.shape), xp.float32) for name, head in like.heads.items()}
        return replace(like, heads=heads, box=core, core=core)
    if isinstance(like, Fragment):
        outer = window.outer & Box.whole(like.shape)
        none = like.instances.select(np.zeros(len(like.instances), bool))
        return replace(like, instances=replace(none, shape=outer.shape), outer=outer, core=core)
    values = {name: value[:0] for name, value in like.values.items()}
    return replace(like, box=core, core=core, start=like.start[:0], length=like.length[:0], values=values)


def joined(parts: Sequence[Piece], outer: Box, core: Box, xp: Any) -> Piece:
    """Pieces that cover `outer`, as one; raises `PluginError` for pieces of different forms."""
    forms = {(type(part), str(form(part))) for part in parts}
    if len(forms) > 1:
        raise PluginError("what was kept of two windows is not of one kind", " and ".join(sorted(f for _, f in forms)),
                          "keep the same heads, or values of the same types, of every window")  # fmt: skip
    if isinstance(parts[0], Fragment):
        if len(parts) > 1:
            raise PluginError("objects of several windows are no piece", str(outer), "let the Pass gather")
        return parts[0]
    if isinstance(parts[0], Voxels):
        return Voxels.join([p for p in parts if isinstance(p, Voxels)], outer, core)
    return Prediction.join([p for p in parts if isinstance(p, Prediction)], outer, core, xp)
