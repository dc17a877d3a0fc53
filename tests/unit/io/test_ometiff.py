"""OME-TIFFs that say little of where their planes lie, or that they lie in other folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery import omesets
from toolkit import io
from toolkit.errors import InputError

STACK = np.arange(2 * 16 * 20, dtype=np.uint16).reshape(2, 16, 20)
NAMES = ("DAPI", "GFP")


def described(data: str, shape: tuple[int, ...] = (16, 20), names: tuple[str, ...] = NAMES) -> str:
    text = omesets.pixels((1, len(names), 1, *shape), [], names=names)  # type: ignore[arg-type]
    return text.replace("</Pixels>", f"{data}</Pixels>")


def named(*places: tuple[str, int]) -> str:
    return "".join(
        f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="{name}"/></TiffData>' for name, c in places
    )


@pytest.mark.parametrize("data", ["", "<MetadataOnly/>", "<TiffData/>"])
def test_without_places_planes_are_pages_in_their_order(tmp_path: Path, data: str) -> None:
    path = omesets.write(tmp_path / "a.ome.tif", STACK, omesets.ome(described(data), "a.ome.tif"))
    image = io.read(path)
    assert np.array_equal(image.read(), STACK)
    assert (image.channel_names, image.voxel_size, image.notes) == (NAMES, (0.5, 0.5), ())


@pytest.mark.parametrize("data", ["", "<MetadataOnly/>"])
def test_more_planes_than_pages_are_a_note(tmp_path: Path, data: str) -> None:
    text = omesets.ome(described(data, names=("a", "b", "c")), "a.ome.tif")
    image = io.read(omesets.write(tmp_path / "a.ome.tif", STACK, text))
    assert image.channel_names == ()
    assert "it describes 3 planes and the file has 2" in " ".join(image.notes)


def test_images_without_places_follow_each_other(tmp_path: Path) -> None:
    text = omesets.ome(described("", names=("a",)) + described("", names=("b",)), "a.ome.tif")
    image = io.read(omesets.write(tmp_path / "a.ome.tif", STACK, text))
    assert np.array_equal(image.read(), STACK[:1])
    assert (image.channel_names, image.notes) == (("a",), ("the file holds 2 images; the first is read",))


def test_the_first_image_may_begin_after_the_second(tmp_path: Path) -> None:
    first = described('<TiffData IFD="2" PlaneCount="1"/>', (8, 8), ("small",))
    second = described('<TiffData IFD="0" PlaneCount="2"/>')
    text, small = omesets.ome(first + second, "a.ome.tif"), np.full((8, 8), 5, np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        for n, plane in enumerate([*STACK, small]):
            about = text.encode() if n == 0 else None
            tif.write(plane, description=about, metadata=None, photometric="minisblack", contiguous=False)
    image = io.read(tmp_path / "a.ome.tif")
    assert np.array_equal(image.read(), small[None])
    assert (image.channel_names, image.notes) == (("small",), ("the file holds 2 images; the first is read",))


def _set(folder: Path, *names: str, text: str = "") -> Path:
    for name, plane in zip(names, STACK, strict=True):
        path = folder / name.replace("\\", "/")
        path.parent.mkdir(exist_ok=True, parents=True)
        tifffile.imwrite(path, plane, metadata=None, photometric="minisblack")
    text = text or described(named(*((name, c) for c, name in enumerate(names))))
    (folder / "x.companion.ome").write_text(omesets.ome(text, "x.companion.ome"))
    return folder / "x.companion.ome"


@pytest.mark.parametrize(
    "names",
    [("data/c0.ome.tif", "data/c1.ome.tif"), ("c0/i.ome.tif", "c1/i.ome.tif"), ("data\\c0.tif", "deep/er/c1.tif")],
)
def test_a_companion_finds_its_set_below_it_and_a_folder_has_it_once(tmp_path: Path, names: tuple[str, str]) -> None:
    path = _set(tmp_path, *names)
    image = io.read(path)
    assert np.array_equal(image.read(), STACK)
    assert image.channel_names == NAMES
    assert [one.path for one in io.find_inputs([tmp_path])] == [path]


def test_a_set_whose_folders_are_gone_lies_beside_its_companion(tmp_path: Path) -> None:
    text = described(named(("data/c0.tif", 0), ("data/c1.tif", 1)))
    assert np.array_equal(io.read(_set(tmp_path, "c0.tif", "c1.tif", text=text)).read(), STACK)
    (tmp_path / "c1.tif").unlink()
    with pytest.raises(InputError, match=r"1 are missing: c1\.tif"):
        io.read(tmp_path / "x.companion.ome")


@pytest.mark.parametrize("out", ["../c1.tif", "/{}/c1.tif", "C:/c1.tif", "in/../../c1.tif"])
def test_what_lies_outside_is_not_opened(tmp_path: Path, out: str) -> None:
    tifffile.imwrite(tmp_path / "c1.tif", STACK[1])
    text = described(named(("c0.tif", 0), (out.format(tmp_path), 1)))
    (tmp_path / "in").mkdir()
    path = _set(tmp_path / "in", "c0.tif", "other.tif", text=text)
    with pytest.raises(InputError, match=r"1 are missing: c1\.tif"):
        io.read(path)
