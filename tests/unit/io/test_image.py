from __future__ import annotations

import hashlib
import mmap
import re
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from toolkit import io
from toolkit.errors import InputError, UsageError
from toolkit.io.axes import Arranged
from toolkit.io.orientation import TURNED
from toolkit.values.tiles import Box

VOLUME = np.random.default_rng(0).integers(0, 60000, (6, 20, 30)).astype(np.uint16)
PLANE = VOLUME[0]
COLOUR = np.random.default_rng(1).integers(0, 255, (20, 30, 4)).astype(np.uint8)


def tiff(folder: Path, array: np.ndarray, **options: object) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


def ome_zarr(path: Path, array: np.ndarray, version: str, axes: list[dict[str, str]], scale: list[float]) -> Path:
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    steps = [{"type": "scale", "scale": scale}]
    image = {"version": version, "axes": axes, "datasets": [{"path": "full", "coordinateTransformations": steps}]}
    about = {"multiscales": [image], "omero": {"channels": [{"label": "dna"}, {"label": "actin"}]}}
    group.attrs.update({"ome": {"version": version, **about}} if version == "0.5" else about)
    group.create_array("full", shape=array.shape, dtype=array.dtype, chunks=(1,) * (array.ndim - 2) + (8, 8))[:] = array
    return path


def space(*names: str, unit: str = "micrometer") -> list[dict[str, str]]:
    kinds = {"t": "time", "c": "channel"}
    return [{"name": n, "type": kinds[n]} if n in kinds else {"name": n, "type": "space", "unit": unit} for n in names]


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64", "int64"]
)
def test_a_tiff_of_any_number_type_is_read_as_it_is(tmp_path: Path, dtype: str) -> None:
    array = (PLANE % 120).astype(dtype)
    image = io.read(tiff(tmp_path, array, compression=None if dtype == "bool" else "zlib"))
    assert image.axes == "CYX"
    assert image.dtype == np.dtype(dtype)
    assert np.array_equal(image.read()[0], array)


def test_complex_numbers_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"complex64 are not supported: .*a.tif"):
        io.read(tiff(tmp_path, PLANE.astype(np.complex64)))


@pytest.mark.parametrize(
    ("shape", "axes", "channels"),
    [
        ((20, 30), "CYX", 1),
        ((1, 20, 30), "CYX", 1),
        ((4, 20, 30), "CYX", 4),
        ((5, 20, 30), "CZYX", 1),
        ((3, 7, 20, 30), "CZYX", 3),
        ((7, 3, 20, 30), "CZYX", 3),
    ],
)
def test_axes_that_nobody_names_follow_from_the_shape(
    tmp_path: Path, shape: tuple[int, ...], axes: str, channels: int
) -> None:
    image = io.read(tiff(tmp_path, np.zeros(shape, np.uint16), photometric="minisblack"))
    assert (image.axes, image.channels) == (axes, channels)
    assert image.shape[-2:] == (20, 30)
    told = len([n for n in shape if n > 1]) > 2
    assert bool(image.notes) == told
    assert not told or "--axes" in image.notes[0]


def test_eight_bit_colours_come_channels_first(tmp_path: Path) -> None:
    image = io.read(tiff(tmp_path, COLOUR[..., :3], photometric="rgb"))
    assert np.array_equal(image.read(), COLOUR[..., :3].transpose(2, 0, 1))


def test_opacity_is_dropped_with_a_note(tmp_path: Path) -> None:
    image = io.read(tiff(tmp_path, COLOUR, photometric="rgb"))
    assert np.array_equal(image.read(), COLOUR[..., :3].transpose(2, 0, 1))
    assert image.notes == ("the opacity channel was dropped",)


AXES = ("YX", "ZYX", "CYX", "ZCYX", "CZYX")
WRITERS = {"ome": AXES, "imagej": AXES[:-1], "named": AXES}  # ImageJ stores channels after slices
WRITTEN = [(how, axes) for how, several in WRITERS.items() for axes in several]


@pytest.mark.parametrize(("how", "axes"), WRITTEN)
def test_axes_that_the_file_names_are_taken(tmp_path: Path, how: str, axes: str) -> None:
    sizes = {"C": 2, "Z": 3, "Y": 20, "X": 30}
    array = np.arange(np.prod([sizes[a] for a in axes])).reshape([sizes[a] for a in axes]).astype(np.uint16)
    image = io.read(tiff(tmp_path, array, metadata={"axes": axes}, **({} if how == "named" else {how: True})))
    wanted = np.moveaxis(array, axes.index("C"), 0) if "C" in axes else array[None]
    assert np.array_equal(image.read(), wanted)
    assert image.notes == ()


def test_imagej_and_ome_tell_the_voxel_size(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "spacing": 2000.0, "unit": "nm"}
    imagej = io.read(tiff(tmp_path, VOLUME, imagej=True, resolution=(0.005, 0.004), metadata=about))
    assert imagej.calibrated
    assert imagej.voxel_size == pytest.approx((2, 0.25, 0.2))
    sizes = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 2}
    ome = io.read(tiff(tmp_path, VOLUME, ome=True, metadata=sizes))
    assert ome.voxel_size == pytest.approx((2, 0.25, 0.2))
    plain = io.read(tiff(tmp_path, VOLUME))
    assert (plain.voxel_size, plain.calibrated) == ((1.0, 1.0, 1.0), False)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "cm"}},
        {"imagej": True, "resolution": (72, 72), "metadata": {"unit": "inch"}},
        {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 5e5, "PhysicalSizeY": 5e5}},
        {"resolution": (2, 2), "resolutionunit": "CENTIMETER", "metadata": None},
    ],
)
def test_pixels_for_paper_or_of_half_a_metre_are_no_calibration(tmp_path: Path, options: dict[str, object]) -> None:
    image = io.read(tiff(tmp_path, PLANE, **options))
    assert (image.voxel_size, image.calibrated) == ((1.0, 1.0), False)


def test_voxels_of_an_atlas_are_a_calibration(tmp_path: Path) -> None:
    about = {"axes": "YX", "PhysicalSizeX": 25, "PhysicalSizeY": 25}
    assert io.read(tiff(tmp_path, PLANE, ome=True, metadata=about)).voxel_size == (25, 25)
    imagej = io.read(tiff(tmp_path, PLANE, imagej=True, resolution=(20, 20), metadata={"unit": "mm"}))
    assert imagej.voxel_size == pytest.approx((50, 50))


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize(("tag", "notes"), [(1, 0), (3, 1), (6, 1), (9, 0)])
def test_an_orientation_that_is_not_followed_is_said(tmp_path: Path, name: str, tag: int, notes: int) -> None:
    exif = Pictures.Exif()
    exif[274] = tag
    Pictures.fromarray(COLOUR[..., :3]).save(tmp_path / name, exif=exif)
    image = io.read(tmp_path / name)
    assert image.shape == COLOUR.shape[:2]
    assert sum("shown turned or mirrored" in note for note in image.notes) == notes


def test_a_given_voxel_size_wins_and_must_fit(tmp_path: Path) -> None:
    path = tiff(tmp_path, VOLUME, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 1})
    image = io.read(path, voxel_size=(3, 2, 1))
    assert (image.voxel_size, image.calibrated) == ((3.0, 2.0, 1.0), True)
    with pytest.raises(InputError, match="2 numbers and the image has 3"):
        io.read(path, voxel_size=(2, 1))
    with pytest.raises(UsageError, match="positive"):
        io.read(path, voxel_size=(0, 1, 1))


def test_given_axes_win_over_the_shape(tmp_path: Path) -> None:
    path = tiff(tmp_path, VOLUME[:3])
    assert io.read(path).axes == "CYX"
    assert io.read(path, axes="zyx").axes == "CZYX"
    assert io.read(path, axes="ZYX").notes == ()


def test_a_file_without_the_channel_axis_is_read_without_it(tmp_path: Path) -> None:
    assert io.read(tiff(tmp_path, PLANE), axes="CYX").channels == 1
    assert io.read(tiff(tmp_path, PLANE), axes="YXC").shape == PLANE.shape
    assert io.read(tiff(tmp_path, VOLUME), axes="CZYX").shape == VOLUME.shape


@pytest.mark.parametrize(("axes", "array"), [("YX", VOLUME), ("ZYX", PLANE), ("CZYX", PLANE), ("ZYX", COLOUR)])
def test_axes_that_do_not_fit_are_an_input_error(tmp_path: Path, axes: str, array: np.ndarray) -> None:
    options = {"photometric": "rgb"} if array is COLOUR else {}
    with pytest.raises(InputError, match="do not fit"):
        io.read(tiff(tmp_path, array, **options), axes=axes)


@pytest.mark.parametrize("axes", ["", "Y", "YXX", "AYX", "QYX"])
def test_axes_that_make_no_sense_are_a_usage_error(tmp_path: Path, axes: str) -> None:
    with pytest.raises(UsageError, match="make no sense"):
        io.read(tiff(tmp_path, PLANE), axes=axes)


def test_a_volume_of_one_slice_stays_one_if_its_axes_are_given(tmp_path: Path) -> None:
    path = tiff(tmp_path, PLANE[None], imagej=True, metadata={"axes": "ZYX"})
    assert io.read(path).shape == PLANE.shape
    assert io.read(path, axes="ZYX").shape == (1, *PLANE.shape)


def test_a_time_series_is_refused_unless_its_axis_is_named_otherwise(tmp_path: Path) -> None:
    path = tiff(tmp_path, VOLUME, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(InputError, match="time series of 6 images"):
        io.read(path)
    assert np.array_equal(io.read(path, axes="ZYX").read()[0], VOLUME)


@pytest.mark.parametrize("samples", [0, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_read_without_its_opacity(tmp_path: Path, samples: int, dtype: type) -> None:
    array = np.random.default_rng(2).integers(0, 255, (20, 30, samples) if samples else (20, 30)).astype(dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    image = io.read(tmp_path / "a.png")
    colours = {0: 1, 2: 1, 3: 3, 4: 3}[samples]
    wanted = array[..., :colours].transpose(2, 0, 1) if samples else array[None]
    assert np.array_equal(image.read(), wanted)
    assert bool(image.notes) == (samples in (2, 4))


def test_the_content_counts_and_not_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(imagecodecs.png_encode(PLANE))
    assert np.array_equal(io.read(tmp_path / "a.tif").read()[0], PLANE)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_lazily_at_full_resolution(tmp_path: Path, version: str) -> None:
    array = np.stack([VOLUME, VOLUME[::-1]])[None]
    path = ome_zarr(tmp_path / "a.ome.zarr", array, version, space("t", "c", "z", "y", "x"), [1, 1, 2, 0.5, 0.25])
    image = io.read(path)
    assert not isinstance(image.source, np.ndarray)
    assert (image.name, image.axes, image.voxel_size) == ("a", "CZYX", (2, 0.5, 0.25))
    assert image.calibrated
    assert image.channel_names == ("dna", "actin")
    assert image.notes == ()
    box = Box((1, 3, 5), (4, 12, 29))
    assert np.array_equal(image.read(box), array[0][(slice(None), *box.slices)])


def test_any_order_of_axes_and_any_unit_of_length_is_understood(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "a.zarr", VOLUME, "0.5", space("x", "z", "y", unit="nanometer"), [250, 2000, 500])
    image = io.read(path)
    assert image.voxel_size == pytest.approx((2, 0.5, 0.25))
    assert np.array_equal(image.read()[0], VOLUME.transpose(1, 2, 0))


def test_a_zarr_without_units_or_axes_says_what_was_assumed(tmp_path: Path) -> None:
    plain = [{"name": n, "type": "space"} for n in "zyx"]
    assert "micrometres" in io.read(ome_zarr(tmp_path / "a.zarr", VOLUME, "0.4", plain, [2, 1, 1])).notes[0]
    assert not io.read(ome_zarr(tmp_path / "b.zarr", VOLUME, "0.4", plain, [1, 1, 1])).calibrated
    zarr.create_array(tmp_path / "c.zarr", data=VOLUME)
    assert "axes read as ZYX" in io.read(tmp_path / "c.zarr").notes[0]


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"compression": "lzw"}])
def test_a_large_tiff_is_read_piece_by_piece_and_equal(
    tmp_path: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.io import tiff as reader

    path = tiff(tmp_path, VOLUME, **options)
    whole = io.read(path).read()
    monkeypatch.setattr(reader, "EAGER", 10)
    monkeypatch.setattr(reader, "MAPPED", 10)
    image = io.read(path)
    root = image.source
    while isinstance(root, np.ndarray):
        root = root.base
    assert isinstance(root, mmap.mmap | Arranged)
    assert np.array_equal(image.read(), whole)
    assert np.array_equal(image.read(Box((1, 2, 3), (2, 9, 30))), whole[:, 1:2, 2:9, 3:30])


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_lazy_image_gives_the_same_voxels_as_an_eager_one(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axes = "".join(data.draw(st.permutations(data.draw(st.sampled_from(["YX", "ZYX", "CYX", "CZYX"])))))
    shape = [data.draw(st.integers(1, 6)) for _ in axes]
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    folder = tmp_path_factory.mktemp("lazy")
    zarr.create_array(folder / "a.zarr", data=array)
    image = io.read(folder / "a.zarr", axes=axes)
    order = [axes.index(a) for a in image.axes if a in axes]
    wanted = array.transpose(order)
    assert np.array_equal(image.read(), wanted if "C" in axes else wanted[None])


def test_missing_and_empty_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("not an image at all")
    (tmp_path / "folder").mkdir()
    for name, what in (("absent.tif", "no such file"), ("empty.tif", "empty"), ("text.tif", "is no TIFF")):
        with pytest.raises(InputError, match=f"{what}.*{name}"):
            io.read(tmp_path / name)
    with pytest.raises(InputError, match="folder"):
        io.read(tmp_path / "folder")


def test_reading_never_alters_a_file(tmp_path: Path) -> None:
    path = tiff(tmp_path, VOLUME)
    path.write_bytes(path.read_bytes()[:-1000])
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(InputError, match="truncated"):
        io.read(path)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_values_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    array = PLANE.astype(np.float32)
    array[3, 4], array[5, 6] = np.nan, np.inf
    assert io.count_nonfinite(io.read(tiff(tmp_path, array))) == 2
    assert io.count_nonfinite(io.read(tiff(tmp_path, PLANE))) == 0


def test_reading_a_tiff_imports_no_zarr_and_importing_io_imports_nothing(tmp_path: Path) -> None:
    path = tiff(tmp_path, PLANE, compression="zlib")
    code = (
        "import sys; from toolkit import io; print(*(m in sys.modules for m in ('numpy', 'tifffile', 'zarr')));"
        f"io.read({str(path)!r}); print(*(m in sys.modules for m in ('zarr', 'scipy', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 6


def test_a_mapped_image_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.io import tiff as reader

    path = tiff(tmp_path, VOLUME)
    monkeypatch.setattr(reader, "EAGER", 10)
    monkeypatch.setattr(reader, "MAPPED", 10)
    source = io.read(path).source
    mapped = source.source if isinstance(source, Arranged) else source
    while not isinstance(mapped, np.memmap) or isinstance(mapped.base, np.memmap):
        mapped = mapped.base
    assert mapped.mode == "r"
    with pytest.raises(ValueError, match="read-only"):
        mapped[:] = 0


def test_tiles_that_are_not_stored_are_said(tmp_path: Path) -> None:
    path = tiff(tmp_path, np.tile(PLANE, (4, 4)), tile=(16, 16), compression="zlib", metadata=None)
    count = len(io.read(path).notes)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for name in ("TileByteCounts", "TileOffsets"):
            tag = tif.pages.first.tags[name]
            tag.overwrite([0] * 8 + list(tag.value)[8:])
    image = io.read(path)
    assert image.absent == 8
    assert "8 of 40 chunks are not stored and read as empty" in image.notes
    assert len(image.notes) == count + 1


@pytest.mark.parametrize(("mode", "said"), [("CMYK", "inks"), ("LAB", "L*a*b*")])
def test_colours_that_are_no_light_are_refused(tmp_path: Path, mode: str, said: str) -> None:
    picture = PIL.Image.fromarray(COLOUR[..., :3])
    (picture if mode == "LAB" else picture.convert(mode)).convert(mode).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        io.read(tmp_path / "a.tif")
    assert "save it as RGB" in str(caught.value)


def test_samples_of_other_inks_are_data(tmp_path: Path) -> None:
    tags = [(332, "H", 1, 2, True)]
    assert io.read(tiff(tmp_path, COLOUR, photometric="separated", extratags=tags)).channels == 4


@pytest.mark.parametrize("way", [1, 6])
def test_a_tiff_that_is_to_be_shown_turned_says_so(tmp_path: Path, way: int) -> None:
    notes = io.read(tiff(tmp_path, PLANE, extratags=[(274, "H", 1, way, True)])).notes
    assert [note for note in notes if "turned" in note] == [TURNED] * (way != 1)
