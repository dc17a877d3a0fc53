"""What a method keeps of one window."""

from __future__ import annotations

from toolkit.values.prediction import Prediction
from toolkit.values.voxels import Voxels

Piece = Prediction | Voxels
"""Dense heads, or some voxels with what is known of them: of one window, or of a block and its halo where pieces are
joined. Both have `box`, `core`, `shape` and `voxel_size`, and `crop(box)`."""
