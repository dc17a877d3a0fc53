"""Files that are cut, mutated or lie about their size: the right error, quickly, and the file stays as it was."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as Pictures

from toolkit import io
from toolkit.errors import InputError, OutOfMemory
from toolkit.io.image import open_raster
from toolkit.values.image import Image
from toolkit.values.instances import Instances

SLICE = (np.random.default_rng(0).random((40, 50)) * 6000).astype(np.uint16)
VOLUME = np.stack([SLICE, SLICE // 7, SLICE % 11])


def _tiff(**options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tifffile.imwrite(folder / "a.tif", VOLUME, photometric="minisblack", **options)
        return folder / "a.tif"

    return write


def _png(folder: Path) -> Path:
    (folder / "a.png").write_bytes(imagecodecs.png_encode(SLICE))
    return folder / "a.png"


def _zarr(folder: Path, zarr_format: int = 3) -> Path:
    group = zarr.create_group(folder / "a.zarr", zarr_format=zarr_format)
    image = {"axes": [{"name": n, "type": "space"} for n in "zyx"], "datasets": [{"path": "0"}], "version": "0.4"}
    group.attrs.update({"ome": {"multiscales": [image]}} if zarr_format == 3 else {"multiscales": [image]})
    group.create_array("0", shape=VOLUME.shape, dtype=VOLUME.dtype, chunks=(2, 40, 50))[:] = VOLUME
    return folder / "a.zarr"


def _old_zarr(folder: Path) -> Path:
    return _zarr(folder, 2)


def _result(folder: Path) -> Path:
    io.write(folder, "a", Instances.from_labels(VOLUME.astype(int) % 5), Image.from_array(VOLUME))
    return folder / "a.zarr"


FILES = {
    "raw": _tiff(),
    "deflate": _tiff(compression="zlib"),
    "lzw": _tiff(compression="lzw", predictor=2),
    "tiled": _tiff(compression="zstd", tile=(16, 16)),
    "ome": _tiff(ome=True, compression="zlib", metadata={"axes": "ZYX", "PhysicalSizeX": 0.2}),
    "imagej": _tiff(imagej=True, metadata={"axes": "ZYX", "spacing": 2, "unit": "um"}),
    "pages": _tiff(metadata=None, compression="packbits", byteorder=">"),
    "png": _png,
    "zarr": _zarr,
    "old zarr": _old_zarr,
    "result": _result,
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.3:
        return data[: rng.randrange(len(data) + 1)]
    if kind < 0.4:
        at = rng.randrange(len(data) + 1)
        return data[:at] + rng.randbytes(rng.randrange(40)) + data[at:]
    changed = bytearray(data)
    for _ in range(rng.choice([1, 2, 8, 30])):
        at = rng.randrange(min(len(data), 400 if rng.random() < 0.6 else len(data)))
        changed[at] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
    return bytes(changed)


def attempt(path: Path) -> None:
    """Read everything; a readable file or one line of error are both right."""
    for read in (lambda p: io.read(p).read(), io.read_instances):
        message = f"{path}"
        try:
            read(path)
        except (InputError, OutOfMemory) as error:
            message = str(error)
        assert message.count("\n") == 0
        assert str(path) in message


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_mutated_bytes_end_in_an_input_error_or_an_image(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    good = FILES[name](tmp_path)
    attempt(good)
    for _ in range(40):
        if good.is_dir():
            bad = tmp_path / "bad.zarr"
            shutil.rmtree(bad, ignore_errors=True)
            shutil.copytree(good, bad)
            file = rng.choice(sorted(p for p in bad.rglob("*") if p.is_file()))
            file.write_bytes(mutated(file.read_bytes(), rng))
            attempt(bad)
        else:
            bad = tmp_path / f"bad{good.suffix}"
            bad.write_bytes(mutated(good.read_bytes(), rng))
            before = bad.read_bytes()
            attempt(bad)
            assert bad.read_bytes() == before


@pytest.mark.parametrize("name", ["raw", "deflate", "lzw", "tiled", "ome", "imagej", "pages", "png"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_is_never_an_image(name: str, part: float, tmp_path: Path) -> None:
    path = FILES[name](tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError):
        io.read(path)


@pytest.mark.parametrize("make", [_zarr, _old_zarr])
def test_a_zarr_that_lost_its_metadata_is_an_input_error(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    for name in ("zarr.json", ".zarray"):
        (path / "0" / name).unlink(missing_ok=True)
    with pytest.raises(InputError, match="zarr"):
        io.read(path)


def test_a_damaged_chunk_is_an_input_error_when_it_is_read(tmp_path: Path) -> None:
    path = _zarr(tmp_path)
    chunk = path / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    image = io.read(path)
    with pytest.raises(InputError, match="damaged"):
        image.read()


def test_a_tiff_that_declares_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, SLICE, compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["ImageWidth"].overwrite(400_000)
        tif.pages[0].tags["ImageLength"].overwrite(400_000)
    with pytest.raises(InputError, match="GiB"):
        io.read(path)


def test_pages_that_run_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = _tiff(metadata=None)(tmp_path)
    with tifffile.TiffFile(path) as tif:
        first, second, third = (page.offset for page in tif.pages)
        size = 2 + 12 * len(tif.pages[2].tags)
    data = bytearray(path.read_bytes())
    for target in (first, second, third):
        data[third + size : third + size + 4] = target.to_bytes(4, "little")
        path.write_bytes(data)
        with pytest.raises(InputError, match="circle"):
            io.read(path)


def test_a_png_that_declares_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = _png(tmp_path)
    data = bytearray(path.read_bytes())
    data[16:24] = (300_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises(InputError, match="GiB"):
        io.read(path)


@pytest.mark.parametrize(("shape", "chunks"), [([10**6] * 3, [2, 40, 50]), ([10**6] * 3, [10**5] * 3)])
def test_a_zarr_that_declares_more_than_it_holds_is_refused(
    shape: list[int], chunks: list[int], tmp_path: Path
) -> None:
    path = _zarr(tmp_path)
    about = json.loads((path / "0" / "zarr.json").read_text())
    about["shape"], about["chunk_grid"]["configuration"]["chunk_shape"] = shape, chunks
    (path / "0" / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"GiB|too large"):
        io.read(path)


def test_a_flipped_byte_in_the_lossless_objects_is_noticed(tmp_path: Path) -> None:
    path = _result(tmp_path)
    chunk = path / "instances" / "start" / "c" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(InputError):
        io.read_instances(path)


def test_a_missing_chunk_of_the_lossless_objects_is_noticed(tmp_path: Path) -> None:
    path = _result(tmp_path)
    (path / "instances" / "scores" / "c" / "0").unlink()
    with pytest.raises(InputError, match="missing"):
        io.read_instances(path)


def test_a_fault_of_our_own_is_not_taken_for_a_damaged_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _tiff()(tmp_path)

    def slip(*_: object, **__: object) -> None:
        raise TypeError("unsupported operand")

    ours = FunctionType(slip.__code__, {"__name__": "toolkit.io.tiff", "TypeError": TypeError})
    monkeypatch.setattr("toolkit.io.tiff._letters", ours)
    with pytest.raises(TypeError, match="unsupported operand"):
        io.read(path)
    monkeypatch.undo()
    monkeypatch.setattr("tifffile.TiffPageSeries.asarray", slip)
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read(path)


@pytest.mark.parametrize("value", [None, 0, "x", [], {}, [None], [[]], {"a": 1}])
@pytest.mark.parametrize("key", ["multiscales", "axes", "datasets", "omero"])
def test_metadata_of_an_unforeseen_form_end_in_an_input_error_or_an_image(
    tmp_path: Path, key: str, value: object
) -> None:
    path = _zarr(tmp_path)
    about = json.loads((path / "zarr.json").read_text())
    ome = about["attributes"]["ome"]
    (ome if key in ("multiscales", "omero") else ome["multiscales"][0])[key] = value
    (path / "zarr.json").write_text(json.dumps(about))
    with suppress(InputError):
        assert io.read(path).read().size == VOLUME.size


def test_a_file_that_goes_on_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    """Sparse files: they take no room on a disk, and more memory than there is."""
    Pictures.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "a.png")
    Pictures.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "a.jpg", quality=100)
    (tmp_path / "a.companion.ome").write_text("<OME/>")
    for name in ("a.png", "a.jpg"):
        os.truncate(tmp_path / name, 2**37)
        assert (open_raster(tmp_path / name).source == 7).all()
    os.truncate(tmp_path / "a.companion.ome", 2**37)
    with pytest.raises(InputError, match="more than 64 MB"):
        open_raster(tmp_path / "a.companion.ome")
    for file in ("zarr.json", "0/zarr.json", "0/c/0/0"):
        folder = tmp_path / f"{file.replace('/', '-')}.zarr"
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1")[:] = 7
        os.truncate(folder / file, 2**37)
        with pytest.raises(InputError, match="far too large"):
            np.asarray(open_raster(folder).source[:])


def test_a_pyramid_of_countless_levels_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1")[:] = 7
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}] * 10**4}]}
    with pytest.raises(InputError, match="too many levels"):
        open_raster(tmp_path / "a.zarr")


def test_a_width_of_0_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    begin = struct.unpack_from("<I", data, 4)[0] + 2
    entries = range(begin, begin + 12 * struct.unpack_from("<H", data, begin - 2)[0], 12)
    (width,) = (at for at in entries if struct.unpack_from("<H", data, at)[0] == 256)
    struct.pack_into("<I", data, width + 8, 0)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="a width, a height or a number of it is 0"):
        io.read(tmp_path / "a.tif")
