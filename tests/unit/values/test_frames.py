from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from ome_zarr_models.v05.image import Image as Model

from toolkit import io
from toolkit.steps.measure import joined, measure
from toolkit.testing.strategies import instances
from toolkit.values.frames import along, frame, stack
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box


@given(st.data(), st.sampled_from([(5, 7), (3, 4, 5)]))
def test_a_frame_of_a_stack_is_what_was_stacked(data: st.DataObject, shape: tuple[int, ...]) -> None:
    frames = [data.draw(instances(st.just(shape))) for _ in range(3)]
    stacked = stack(frames)
    assert stacked.shape == (3, *shape)
    assert [frame(stacked, t) for t in range(3)] == frames
    assert np.array_equal(stacked.scores, np.concatenate([f.scores for f in frames]))


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)])
def test_all_frames_along_each_other_have_all_their_voxels(shape: tuple[int, ...]) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (4, 2, *shape))
    image = along([Image(v, "CZYX"[:1] + "ZYX"[-len(shape) :]) for v in voxels])
    assert image.shape == (4 * shape[0], *shape[1:])
    assert np.array_equal(image.read(), np.concatenate(list(voxels), axis=1))
    box = Box((shape[0] - 1, *[1] * (len(shape) - 1)), (2 * shape[0] + 1, *shape[1:]))
    assert np.array_equal(image.read(box), image.read()[(slice(None), *box.slices)])


@pytest.mark.parametrize("shape", [(12, 15), (3, 12, 15)])
@pytest.mark.parametrize("overlap", [False, True])
def test_a_time_series_is_written_as_one_and_read_again(shape: tuple[int, ...], overlap: bool, tmp_path: Path) -> None:
    mask = np.zeros((2, *shape), bool)
    mask[0, ..., 2:6, 2:6], mask[1, ..., 5 if overlap else 7 : 9, 5:9] = True, True
    frames = [Instances.from_planes(mask), Instances.from_planes(mask[:1])]
    axes = "CZYX"[:1] + "ZYX"[-len(shape) :]
    images = [
        Image(np.full((1, *shape), 7 + t, np.uint8), axes, (0.5,) * len(shape), calibrated=True) for t in range(2)
    ]
    table = joined([measure(f, i) for f, i in zip(frames, images, strict=True)])
    assert table["frame"].tolist() == [0, 0, 1]
    assert table["id"].tolist() == [1, 2, 3]
    assert table["mean_0"].tolist() == [7, 7, 8]
    stacked = stack(frames)
    io.write(tmp_path, "a", stacked, images[0], table, images[0])
    assert io.read_instances(tmp_path / "a.zarr") == stacked
    assert io.read_instances(tmp_path / "a.labels.tif") == stacked
    assert len(io.read_truth(tmp_path / "a.labels.tif").voxel_size) == len(shape) + 1
    with tifffile.TiffFile(tmp_path / "a.labels.tif") as tif:
        assert tif.series[0].axes == "C" * overlap + "T" + axes[1:]
    label = zarr.open_group(tmp_path / "a.zarr" / "labels" / "layer-0", mode="r")
    Model.from_zarr(label)
    scale = label.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]  # type: ignore[index,call-overload]
    assert scale == [1.0, *[0.5] * len(shape)]
    assert (tmp_path / "a.overlay.png").is_file()
