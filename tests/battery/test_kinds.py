"""Battery: what the field writes is read as it was meant, or a sentence says why not. None is wrong in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.battery import kinds
from tests.battery.kinds import Kind
from toolkit import io
from toolkit.errors import InputError

IMAGES = {
    **kinds.samples(),
    **kinds.tables(),
    **kinds.pages(),
    **kinds.sets(),
    **kinds.lengths(),
    **kinds.zarrs(),
}
LABELS = kinds.labels()


def test_there_are_many_kinds() -> None:
    assert len(IMAGES) + len(LABELS) >= 60 + 13


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_read_as_it_was_meant_or_refused(name: str, tmp_path: Path) -> None:
    kind: Kind = IMAGES[name]
    path = kind.make(tmp_path)
    if kind.pixels is None:
        with pytest.raises(InputError, match=kind.said.replace("(", r"\(")):
            io.read(path, kind.axes)
        return
    image = io.read(path, kind.axes)
    assert np.array_equal(image.read(), kind.pixels)
    assert image.dtype == kind.pixels.dtype
    assert (image.voxel_size if image.calibrated else None) == (kind.size and pytest.approx(kind.size))
    assert kind.said in " ".join(image.notes)
    assert kind.said or not [n for n in image.notes if "axes read" not in n], image.notes
    if kind.names:
        assert image.channel_names == kind.names


@pytest.mark.parametrize("name", LABELS)
def test_a_label_file_is_read_as_it_was_meant_or_refused(name: str, tmp_path: Path) -> None:
    kind: Kind = LABELS[name]
    path = kind.make(tmp_path)
    if kind.pixels is None:
        with pytest.raises(InputError, match=kind.said.replace("(", r"\(")):
            io.read_truth(path, kind.axes, shape=kinds.LABELS.shape)
        return
    truth = io.read_truth(path, kind.axes, shape=kinds.LABELS.shape)
    wanted = np.unique(kind.pixels[kind.pixels > 0])
    assert len(truth.layers) == len(kind.pixels)
    assert np.array_equal(np.unique(truth.layers[truth.layers > 0]), wanted)
    assert np.array_equal(truth.layers, kind.pixels)
