"""Formats of vendors. CZI files are written by Zeiss's own library, LIF files by hand after the format as its readers
describe it; of ND2 no writer exists, so that what its reader gives is imitated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.io.lifs import lif
from toolkit import io
from toolkit.errors import InputError
from toolkit.io import vendor

VOXELS = np.random.default_rng(5).integers(0, 60000, (2, 3, 4, 24, 32)).astype(np.uint16)


class Lazy:
    """What the toolkit uses of a dask array."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, index: Any) -> Any:
        return SimpleNamespace(compute=lambda scheduler: self.array[index])


def imitated(
    monkeypatch: pytest.MonkeyPatch, array: Any, order: str, scenes: Sequence[str] = ("one",), size: float | None = 0.5
) -> None:
    def read(path: Path) -> SimpleNamespace:
        return SimpleNamespace(
            scenes=scenes, dask_data=array if isinstance(array, Lazy) else Lazy(array),
            dims=SimpleNamespace(order=order),
            physical_pixel_sizes=SimpleNamespace(Z=size, Y=size, X=size), channel_names=["a", "b", "c"],
        )  # fmt: skip

    monkeypatch.setattr(vendor, "find_spec", lambda name: name)
    monkeypatch.setattr(vendor, "import_module", lambda name: SimpleNamespace(Reader=read))


@pytest.mark.parametrize("name", ["a.czi", "a.nd2", "a.lif", "A.CZI"])
def test_without_a_reader_a_vendors_file_is_one_sentence_with_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "find_spec", lambda name: None)
    (tmp_path / name).write_bytes(b"ZISRAWFILE")
    with pytest.raises(
        InputError, match=r"needs a reader that is not installed: .*; pip install 'seg-toolkit\[formats\]'"
    ):
        io.read(tmp_path / name)
    (tmp_path / "a.oib").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(InputError, match="pip install bioio-bioformats"):
        io.read(tmp_path / "a.oib")


@pytest.mark.parametrize("name", ["a.nd2", "a.lif"])
def test_what_a_reader_gives_is_an_image(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imitated(monkeypatch, VOXELS, "TCZYX", ["first", "second"])
    (tmp_path / name).write_bytes(b"bytes")
    series = io.frames(tmp_path / name)
    assert len(series) == 2
    assert np.array_equal(series[1].read(), VOXELS[1])
    assert (series[0].voxel_size, series[0].origin) == ((0.5, 0.5, 0.5), name[2:].upper())
    assert series[0].channel_names == ("a", "b", "c")
    assert series[0].notes == ("the file holds 2 images; the first is read (first)",)
    assert [f.stem for f in io.find_inputs([tmp_path])] == ["a"]


def test_an_axis_of_a_vendor_that_is_none_of_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imitated(monkeypatch, VOXELS[0], "MCYX", size=None)
    (tmp_path / "a.lif").write_bytes(b"bytes")
    with pytest.raises(InputError, match="no axis 'M' here"):
        io.read(tmp_path / "a.lif")


def test_whatever_a_reader_raises_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Exception):
        pass

    class Broken(Lazy):
        def __getitem__(self, index: Any) -> Any:
            raise Odd("no such block")

    (tmp_path / "a.nd2").write_bytes(b"bytes")
    imitated(monkeypatch, Broken(VOXELS[0, 0]), "ZYX")
    with pytest.raises(InputError, match=r"damaged or not supported: .*no such block"):
        io.read(tmp_path / "a.nd2").read()


def written(path: Path, sizes: dict[str, int], colours: bool = False, told: bool = True) -> np.ndarray:
    """A CZI by Zeiss's library; gives its voxels TCZYX(S)."""
    from pylibCZIrw import czi

    shape = tuple(sizes.get(c, 1) for c in "TCZ")
    high, kind = (255, np.uint8) if colours else (60000, np.uint16)
    voxels = np.random.default_rng(3).integers(0, high, (*shape, 48, 64, 3 if colours else 1)).astype(kind)
    with czi.create_czi(str(path)) as document:
        for t, c, z in np.ndindex(shape):
            document.write(data=voxels[t, c, z], plane={"T": t, "C": c, "Z": z}, scene=0)
        if told:
            document.write_metadata(
                document_name="a", channel_names=dict(enumerate(("DAPI", "GFP", "RFP")[: shape[1]])),
                scale_x=2e-7, scale_y=2e-7, scale_z=1e-6,
            )  # fmt: skip
    return voxels if colours else voxels[..., 0]


CZIS: dict[str, tuple[dict[str, int], Callable[[np.ndarray], list[np.ndarray]]]] = {
    "plane": ({}, lambda v: [v[0, :, 0]]),
    "stack": ({"Z": 4}, lambda v: [v[0]]),
    "two slices": ({"Z": 2}, lambda v: [v[0]]),
    "two channels": ({"C": 2}, lambda v: [v[0, :, 0]]),
    "three channels": ({"C": 3}, lambda v: [v[0, :, 0]]),
    "channels and slices": ({"C": 2, "Z": 3}, lambda v: [v[0]]),
    "frames": ({"T": 3}, lambda v: [frame[:, 0] for frame in v]),
    "frames of channels": ({"T": 2, "C": 2}, lambda v: [frame[:, 0] for frame in v]),
    "frames of stacks": ({"T": 2, "Z": 3}, list),
    "all": ({"T": 2, "C": 3, "Z": 2}, list),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CZIS)
def test_a_czi_of_zeiss_is_read(name: str, tmp_path: Path) -> None:
    sizes, wanted = CZIS[name]
    voxels = written(tmp_path / "a.czi", sizes)
    series = io.frames(tmp_path / "a.czi")
    for image, frame in zip(series, wanted(voxels), strict=True):
        assert np.array_equal(image.read(), frame)
        assert image.voxel_size == pytest.approx((1, 0.2, 0.2)[-image.ndim :])
        assert (image.origin, image.notes) == ("CZI", ())
    assert series[0].channel_names == ("DAPI", "GFP", "RFP")[: series[0].channels]


def test_a_czi_in_colour_and_one_without_metadata(tmp_path: Path) -> None:
    colours = written(tmp_path / "a.czi", {}, colours=True)
    # Zeiss stores blue first.
    assert np.array_equal(io.read(tmp_path / "a.czi").read(), colours[0, 0, 0, ..., ::-1].transpose(2, 0, 1))
    written(tmp_path / "b.czi", {"Z": 2}, told=False)
    assert not io.read(tmp_path / "b.czi").calibrated


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_czi_that_is_cut_is_one_sentence(kept: float, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path / "a.czi", {"Z": 3})
    data = (tmp_path / "a.czi").read_bytes()
    (tmp_path / "b.czi").write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read(tmp_path / "b.czi").read()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


LIFS: dict[str, tuple[str, tuple[int, ...], str]] = {
    "plane": ("YX", (24, 32), "u1"),
    "stack": ("ZYX", (4, 24, 32), "u2"),
    "channels": ("CYX", (2, 24, 32), "u2"),
    "channels of stacks": ("CZYX", (2, 4, 24, 32), "u1"),
    "stack of channels": ("ZCYX", (4, 2, 24, 32), "u2"),
    "frames": ("TYX", (3, 24, 32), "u2"),
    "frames of stacks": ("TZYX", (2, 3, 24, 32), "u1"),
    "frames of channels": ("TCYX", (2, 3, 24, 32), "u2"),
    "stack of frames": ("ZTYX", (3, 2, 24, 32), "u2"),
    "all": ("TCZYX", (2, 3, 4, 24, 32), "u2"),
}


@pytest.mark.parametrize("name", LIFS)
def test_a_lif_is_read(name: str, tmp_path: Path) -> None:
    axes, shape, kind = LIFS[name]
    voxels = np.random.default_rng(7).integers(0, np.iinfo(kind).max, shape).astype(kind)
    series = io.frames(lif(tmp_path / "a.lif", {"one": (axes, voxels)}))
    order = [axes.index(c) for c in "TCZYX" if c in axes]
    wanted = voxels.transpose(order) if "T" in axes else voxels.transpose(order)[None]
    for image, frame in zip(series, wanted, strict=True):
        assert np.array_equal(image.read(), frame if "C" in axes else frame[None])
        assert image.voxel_size == pytest.approx((1, 0.2, 0.2)[-image.ndim :])
        assert image.notes == ()


def test_of_a_lif_with_several_images_the_first_is_read_and_that_is_said(tmp_path: Path) -> None:
    first, second = np.eye(24, 32, dtype=np.uint8), np.zeros((2, 9, 9), np.uint16)
    image = io.read(lif(tmp_path / "a.lif", {"nuclei": ("YX", first), "other": ("ZYX", second)}))
    assert np.array_equal(image.read()[0], first)
    assert image.notes == ("the file holds 2 images; the first is read (nuclei)",)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_lif_that_is_cut_is_one_sentence(kept: float, tmp_path: Path) -> None:
    whole = lif(tmp_path / "a.lif", {"one": ("ZYX", np.full((6, 40, 48), 7, np.uint16))}).read_bytes()
    (tmp_path / "b.lif").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read(tmp_path / "b.lif").read()


@pytest.mark.parametrize("ending", ["czi", "lif", "nd2"])
def test_what_is_no_file_of_its_vendor_is_one_sentence(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{ending}").write_bytes(b"no such format" * 100)
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read(tmp_path / f"a.{ending}").read()
