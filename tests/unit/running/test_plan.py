"""What is said before a run."""

from __future__ import annotations

import numpy as np

from toolkit.running.plan import CUBES, _notes
from toolkit.values.image import Image


def test_a_volume_of_unknown_voxel_size_is_said_to_be_of_cubes() -> None:
    volume, picture = np.zeros((3, 4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    assert _notes(Image.from_array(volume, calibrated=False), None) == (CUBES,)
    assert _notes(Image.from_array(picture, calibrated=False), None) == ()
    known = Image.from_array(volume, "ZYX", voxel_size=(2.0, 1.0, 1.0), calibrated=True)
    assert _notes(known, (2.0, 1.0, 1.0)) == ()
    assert "was trained at [1.0, 1.0, 1.0]" in _notes(known, (1.0, 1.0, 1.0))[0]
