"""The calls of README, as a stranger makes them: nothing but `import toolkit`, paths, names and arrays."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray
import zarr

import toolkit
from tests.models import bright, see_through
from toolkit.errors import InputError, ToolkitError, UsageError
from toolkit.steps.measure import Table


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return see_through(tmp_path_factory.mktemp("model"))


def dataset(folder: Path) -> Path:
    """Four images of bright boxes, two to learn from and two to validate."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for k in range(4):
        image = bright((48, 56), seed=k)
        labels = toolkit.Instances.from_labels(_pieces(image)).to_labels()
        tifffile.imwrite(folder / "images" / f"{k}.tif", image)
        tifffile.imwrite(folder / "masks" / f"{k}.tif", labels.astype(np.uint16))
    (folder / "splits.json").write_text(json.dumps({"train": ["0", "1"], "val": ["2", "3"]}))
    return folder


def _pieces(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import label

    return np.asarray(label(image > 128)[0])


def test_a_model_is_loaded_by_its_path_alone(model: Path) -> None:
    for path in (model, str(model)):
        assert toolkit.load_model(path).name == model.name
    with pytest.raises(UsageError, match="no such model"):
        toolkit.load_model("somewhere")


def test_an_array_a_file_and_an_image_give_the_same_objects(model: Path, tmp_path: Path) -> None:
    array = bright((60, 70))
    tifffile.imwrite(tmp_path / "a.tif", array)
    path = tmp_path / "a.tif"
    loaded = toolkit.load_model(model)
    found = [toolkit.segment(x, m) for x in (array, path, str(path)) for m in (loaded, model, str(model))]
    assert len(found[0]) > 0
    assert all(one == found[0] for one in found)
    assert toolkit.segment(toolkit.Image.from_array(array), model, block=32, device="cpu") == found[0]
    assert (found[0].to_labels() > 0).sum() == (array > 128).sum()


@pytest.mark.parametrize("given", [{"axes": "YX"}, {"voxel_size": (1, 1)}])
def test_an_image_has_axes_and_a_voxel_size_of_its_own(model: Path, given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"an Image has its own {next(iter(given))}"):
        toolkit.segment(toolkit.Image.from_array(bright((60, 70))), model, **given)


def test_axes_and_changes_are_arguments(model: Path) -> None:
    array = bright((60, 70))
    colours = np.stack([np.zeros_like(array), array, np.zeros_like(array)], axis=-1)
    found = toolkit.segment(colours, model, axes="YXC", changes=["input.channels=[1]"])
    assert found == toolkit.segment(array, model)
    fewer = toolkit.segment(array, model, changes=["postprocess.min_size=20"])
    assert 0 < len(fewer) < len(found)


@pytest.mark.parametrize(
    "array",
    [np.zeros(5), np.zeros((0, 4)), np.array([["a", "b"]]), np.zeros((2, 3, 4, 5, 6)), [[1, 2], [3, 4]]],
    ids=["line", "empty", "letters", "five axes", "lists"],
)
def test_an_array_that_is_no_image_is_a_sentence_and_a_list_of_lists_is_one(array: object, model: Path) -> None:
    if isinstance(array, list):
        assert toolkit.segment(array, model).shape == (2, 2)
    else:
        with pytest.raises(InputError, match="array"):
            toolkit.segment(array, model)


def test_without_a_model_the_one_that_suits_runs() -> None:
    array = bright((48, 48))
    assert toolkit.segment(array) == toolkit.segment(array, "embedseg")


def test_labels_are_judged_from_arrays_instances_and_files(tmp_path: Path) -> None:
    truth = _pieces(bright((60, 70)))
    half = np.where(truth > truth.max() // 2, 0, truth)
    tifffile.imwrite(tmp_path / "truth.tif", truth.astype(np.uint16))
    tifffile.imwrite(tmp_path / "half.tif", half.astype(np.uint16))
    expected = (truth.max() // 2) / truth.max()
    for predicted, true in (
        (half, truth),
        (toolkit.Instances.from_labels(half), toolkit.Instances.from_labels(truth)),
        (half, toolkit.Truth.from_layers(truth[None])),
        (tmp_path / "half.tif", tmp_path / "truth.tif"),
        (str(tmp_path / "half.tif"), truth),
        ([half], [truth]),
    ):
        found = toolkit.evaluate(predicted, true, "S")
        assert found.summary["S@0.50"]["mean"] == pytest.approx(expected)
    both = toolkit.evaluate([half, truth], [truth, truth], ["S"], samples=0)
    assert both.summary["S@0.50"]["mean"] == pytest.approx((1 + expected) / 2)


def test_what_cannot_be_judged_is_a_sentence() -> None:
    labels = _pieces(bright((60, 70)))
    for predicted, true, said in (
        ([labels], [labels, labels], "predictions and truth are not as many"),
        (labels / 2, labels, "two or three axes and whole numbers"),
        (labels - 1, labels, "holds numbers from 0"),
        (labels[:40], labels, "differ in shape"),
    ):
        with pytest.raises(InputError, match=said):
            toolkit.evaluate(predicted, true, "S")


def test_a_training_gives_a_model_that_segments(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    changes = ["network.maps=[2, 4]", "network.strides=[2]", "training.crop=[32, 32]", "training.batch=1"]
    small = [*changes, "tiling.window=[32, 32]", "tiling.overlap=8"]
    model = toolkit.train(data, tmp_path / "run", recipe="unet", changes=small, steps=2, device="cpu", threads=1)
    assert model.recipe.training.steps == 2
    array = bright((48, 56))
    assert toolkit.segment(array, model) == toolkit.segment(array, tmp_path / "run")
    with pytest.raises(UsageError, match="two ways to say how long"):
        toolkit.train(data, tmp_path / "run", recipe="unet", minutes=1, steps=2)
    with pytest.raises(UsageError, match="no method was named"):
        toolkit.train(data, tmp_path / "other")


def test_lists_give_lists_and_arrays_of_any_kind_the_same_objects(model: Path, tmp_path: Path) -> None:
    array = bright((60, 70))
    tifffile.imwrite(tmp_path / "a.tif", array)
    made = zarr.create_array(tmp_path / "a.zarr", data=array)
    every = toolkit.segment([array, tmp_path / "a.tif", made, xarray.DataArray(array.T, dims=["x", "y"])], model)
    assert len(every) == 4
    assert all(one == every[0] for one in every)
    assert toolkit.segment([], model) == []


def test_a_channel_is_named_as_on_the_command_line(model: Path, tmp_path: Path) -> None:
    array = bright((60, 70))
    both = np.stack([array.T.reshape(array.shape), array])
    alone = toolkit.segment(array, model)
    assert toolkit.segment(both, model, axes="CYX", channel=1) == alone
    tifffile.imwrite(tmp_path / "a.ome.tif", both, metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}})
    assert toolkit.segment(tmp_path / "a.ome.tif", model) == alone
    assert toolkit.segment(tmp_path / "a.ome.tif", model, channel="dapi") == alone
    assert toolkit.segment(tmp_path / "a.ome.tif", model, channel=["GFP"]) != alone


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channel": 7, "axes": "CYX"}, r"no channel 7.*choose with channel="),
        ({"axes": "ZYX"}, r"the model works on 2-D images.*axes="),
        ({"diameter": "large"}, r"a diameter is pixels.*: diameter=large"),
        ({"axes": "CYX", "changes": ["postprocess.foreground=7"]}, r"postprocess\.foreground"),
    ],
)
def test_an_error_names_arguments_of_python(options: dict[str, object], said: str, model: Path) -> None:
    array = np.stack([bright((60, 70))] * 2)
    with pytest.raises(ToolkitError, match=said) as error:
        toolkit.segment(array, model, **options)  # type: ignore[arg-type]
    assert "--" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"axes": 5}, "one letter per axis: axes=5"), ({"axes": ("row", "col")}, "one letter per axis"),
        ({"channel": 1.0}, r"whole number.*channel=1\.0"), ({"channel": True}, "channel=True"),
        ({"channel": [0, None]}, "channel=None"), ({"voxel_size": 0.5}, r"one number per axis.*voxel_size=0\.5"),
        ({"voxel_size": "1,1"}, "one number per axis"), ({"voxel_size": (True, None)}, "one number per axis"),
    ],
)  # fmt: skip
def test_an_argument_of_another_kind_is_a_sentence(options: dict[str, object], said: str, model: Path) -> None:
    with pytest.raises(UsageError, match=said):
        toolkit.segment(bright((20, 20)), model, **options)  # type: ignore[arg-type]


def test_arguments_of_numpy_and_rows_of_letters_are_taken(model: Path) -> None:
    array = bright((60, 70))
    both = np.stack([np.zeros_like(array), array])
    found = toolkit.segment(both, model, axes=("C", "y", "x"), channel=np.int64(1), voxel_size=np.array([0.5, 0.5]))  # type: ignore[arg-type]
    assert found == toolkit.segment(array, model)
    assert found.images[0].voxel_size == (0.5, 0.5)


def test_what_is_no_path_and_no_image_in_a_list_is_a_sentence(model: Path, tmp_path: Path) -> None:
    for image, said in (
        ("", "path of the image is empty"),
        (tmp_path, "this folder is no image"),
        ("https://example.org/a.tif", r"not read from addresses: https://example\.org/a\.tif; download it"),
        (Path("https://example.org/a.tif"), r"addresses: https://example"),
        ([bright((20, 20)), None], "None is no image: entry 1 of the list"),
        ([xarray.Dataset()], "a Dataset of xarray is no image, it holds nothing"),
    ):
        with pytest.raises(InputError, match=said):
            toolkit.segment(image, model)


def test_notes_are_in_the_result_and_logged(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = bright((60, 70))
    array = plain.astype(np.float32)
    array[0, :3] = np.nan, np.inf, -np.inf
    tifffile.imwrite(tmp_path / "a.tif", array)
    said = "3 values are not finite and were taken as 0"
    assert toolkit.segment(array, model).notes == toolkit.segment(tmp_path / "a.tif", model).notes == (said,)
    assert f"array: {said}" in caplog.messages
    assert toolkit.segment(plain, model).notes == ()
    shape = "axes read as CYX from the shape 2×60×70; give axes= if that is wrong"
    channel = "2 channels show something and nothing says which is meant; say channel= for another"
    assert toolkit.segment(np.stack([plain] * 2), model).notes == (shape, channel)
    empty = toolkit.segment(np.zeros((20, 20), np.uint8), model).notes
    assert len(empty) == 1
    assert empty[0].startswith("no object was found in channel 0 of 1; try ")
    assert empty[0].endswith("other thresholds with changes=")


@pytest.mark.parametrize(("dtype", "value"), [(np.float64, -1e300), (np.float64, 1e300), (np.float32, 3e38)])
def test_values_beyond_32_bits_are_counted_and_become_0(dtype: type, value: float, model: Path, tmp_path: Path) -> None:
    array = bright((60, 70)).astype(dtype) / 1000
    bounded = array.copy()
    array[30, 30], bounded[30, 30] = value, 0
    inner = ["normalise.low=1", "normalise.high=99.8"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = toolkit.segment(array, model, changes=inner)
        found.save(tmp_path)
    assert found.notes == ("1 values are too large beside the others for 32-bit numbers and were taken as 0",)
    assert abs(len(found) - len(toolkit.segment(bounded, model, changes=inner))) <= 1


def test_values_that_no_scale_tells_apart_are_a_sentence(model: Path) -> None:
    array = bright((60, 70))
    with pytest.raises(InputError, match="lie too close together to be told apart"):
        toolkit.segment(array.astype(np.float32) * np.float32(1e-42), model)
    with pytest.raises(InputError, match="lie too far apart"):
        toolkit.segment(np.where(array > 128, 1e308, -1e308), model)


def test_channels_of_an_xarray_are_chosen_by_name(model: Path) -> None:
    array = bright((60, 70))
    both = xarray.DataArray(np.stack([array[::-1], array]), dims=["c", "y", "x"], coords={"c": ["RFP", "DAPI"]})
    alone = toolkit.segment(array, model)
    assert toolkit.segment(both, model) == toolkit.segment(both, model, channel="dapi") == alone
    assert toolkit.segment(both, model, channel="RFP") != alone


def test_a_result_knows_its_image(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = bright((60, 70))
    found = toolkit.segment(array, model, voxel_size=(0.5, 0.5))
    assert repr(found) == f"Result: {len(found)} objects in 60×70 voxels"
    table = found.table(["shape"])
    assert table.shape[0] == len(found)
    assert (table["area_um2"] == table["area_px"] * 0.25).all()
    assert "perimeter_um" in table
    assert {path.name for path in found.save(tmp_path / "out")} == {
        "array.labels.tif", "array.zarr", "array.objects.csv", "array.overlay.png",
    }  # fmt: skip
    assert toolkit.evaluate(tmp_path / "out" / "array.zarr", found.to_labels(), "S").summary["S@0.50"]["mean"] == 1
    monkeypatch.setattr("toolkit.pipeline.result.find_spec", lambda name: None)
    assert isinstance(found.table(), Table)
    with pytest.raises(UsageError, match="no such features: form"):
        found.table(["form"])


def test_a_time_series_is_one_result(model: Path, tmp_path: Path) -> None:
    array = bright((60, 70))
    found = toolkit.segment(np.stack([array, array]), model, axes="TYX")
    assert found.shape == (2, 60, 70)
    assert len(found) == 2 * len(toolkit.segment(array, model))
    assert set(found.table()["frame"]) == {0, 1}
    found.save(tmp_path)
    assert tifffile.imread(tmp_path / "array.labels.tif").shape == (2, 60, 70)
