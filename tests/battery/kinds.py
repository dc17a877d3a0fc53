"""Images and label files as the field writes them, and what is right for each: the kinds that were once read wrongly.

All pixels are made here. A kind is right when its pixels, voxel size and channels are those that its writer meant, or
when a sentence says why it is not read.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import zarr

from tests.battery import omesets

Array = np.ndarray
RANDOM = np.random.default_rng(7)
PLANE = RANDOM.integers(20, 60000, (24, 33)).astype(np.uint16)
SMALL = (PLANE >> 8).astype(np.uint8)
STACK = RANDOM.integers(20, 60000, (5, 24, 33)).astype(np.uint16)
FIVE = RANDOM.integers(20, 60000, (24, 33, 5)).astype(np.uint16)
COLOUR = RANDOM.integers(0, 255, (24, 33, 4)).astype(np.uint8)
LABELS = np.zeros((24, 33), np.uint8)
for _k in range(6):
    LABELS[2 + 11 * (_k // 3) : 9 + 11 * (_k // 3), 2 + 10 * (_k % 3) : 9 + 10 * (_k % 3)] = _k + 1


@dataclass(frozen=True, eq=False)
class Kind:
    """`make(folder)` writes and gives the path to read. `pixels` `C(Z)YX`, for label files `(L, *shape)`; None where a
    sentence with `said` is right, else `said` is part of a note. `size` is the voxel size, None for unknown."""

    make: Callable[[Path], Path]
    pixels: Array | None = None
    said: str = ""
    size: tuple[float, ...] | None = None
    names: tuple[str, ...] = ()
    axes: str | None = None


def tiff(array: Array, name: str = "a.tif", **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / name, array, **{"photometric": "minisblack", **options})
        return folder / name

    return make


def data(content: bytes, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def first(array: Array) -> Array:
    """Channels first."""
    return np.moveaxis(array, -1, 0)


def samples() -> dict[str, Kind]:
    """Samples per pixel: data, colours, opacity."""
    rgb = COLOUR[..., :3]
    return {
        "two samples that are data": Kind(tiff(FIVE[..., :2], planarconfig="contig"), first(FIVE[..., :2])),
        "five samples that are data": Kind(tiff(FIVE, planarconfig="contig"), first(FIVE)),
        "four planes that are data": Kind(tiff(first(FIVE)[:4], planarconfig="separate"), first(FIVE)[:4]),
        "rgb and a sample that is data": Kind(
            tiff(FIVE[..., :4], photometric="rgb", extrasamples=["unspecified"]), first(FIVE[..., :4])
        ),
        "rgb and opacity": Kind(
            tiff(COLOUR, photometric="rgb", extrasamples=["unassalpha"]), first(rgb), "opacity channel was dropped"
        ),
        "rgb and premultiplied opacity": Kind(
            tiff(COLOUR, photometric="rgb", extrasamples=["assocalpha"]), first(rgb), "opacity channel was dropped"
        ),
        "rgb, opacity and data": Kind(
            tiff(FIVE, photometric="rgb", extrasamples=["unassalpha", "unspecified"]),
            first(FIVE)[[0, 1, 2, 4]],
            "opacity",
        ),
        "rgb, data and opacity": Kind(
            tiff(FIVE, photometric="rgb", extrasamples=["unspecified", "unassalpha"]), first(FIVE)[:4], "opacity"
        ),
        "grey and opacity": Kind(
            tiff(FIVE[..., :2], planarconfig="contig", extrasamples=["unassalpha"]), first(FIVE)[:1], "opacity"
        ),
        "ome with two samples": Kind(
            tiff(FIVE[..., :2], "a.ome.tif", planarconfig="contig", metadata={"axes": "YXS"}), first(FIVE[..., :2])
        ),
        "ome with three samples that are no colours": Kind(
            tiff(FIVE[..., :3], "a.ome.tif", planarconfig="contig", metadata={"axes": "YXS"}), first(FIVE[..., :3])
        ),
        "planar rgb": Kind(tiff(first(rgb), photometric="rgb", planarconfig="separate"), first(rgb)),
        "planar rgb, tiled and packed": Kind(
            tiff(first(rgb), photometric="rgb", planarconfig="separate", tile=(16, 16), compression="zlib"), first(rgb)
        ),
        "rgb of 16 bits": Kind(tiff(FIVE[..., :3], photometric="rgb"), first(FIVE[..., :3])),
        "rgb with differences": Kind(tiff(rgb, photometric="rgb", predictor=True, compression="lzw"), first(rgb)),
        "big-endian": Kind(tiff(PLANE, byteorder=">", compression="zlib"), PLANE[None]),
        "bigtiff": Kind(tiff(PLANE, bigtiff=True, tile=(16, 16)), PLANE[None]),
        "png of grey and opacity": Kind(
            data(imagecodecs.png_encode(np.stack([SMALL, SMALL // 2], -1)), "a.png"), SMALL[None], "opacity"
        ),
        "png of colours and opacity": Kind(data(imagecodecs.png_encode(COLOUR), "a.png"), first(rgb), "opacity"),
        "png of 16 bits": Kind(data(imagecodecs.png_encode(PLANE), "a.png"), PLANE[None]),
        "bmp": Kind(data(imagecodecs.bmp_encode(rgb), "a.bmp"), first(rgb)),
        "bmp of grey": Kind(data(imagecodecs.bmp_encode(SMALL), "a.bmp"), SMALL[None]),
        "jpeg that says it is a tiff": Kind(
            data(imagecodecs.jpeg_encode(SMALL, level=100, lossless=False), "a.tif"),
            imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(SMALL, level=100, lossless=False))[None],
        ),
    }


def _pal(array: Array, table: Array, name: str, **options: Any) -> Callable[[Path], Path]:
    """An indexed PNG, GIF or BMP by Pillow."""

    def make(folder: Path) -> Path:
        from PIL import Image

        image = Image.frombytes("P", array.shape[::-1], np.ascontiguousarray(array).tobytes())
        image.putpalette(table.reshape(-1).tolist())
        image.save(folder / name, **options)
        return folder / name

    return make


RAINBOW = np.concatenate([np.zeros((1, 3)), RANDOM.integers(0, 255, (255, 3))]).astype(np.uint8)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
GREEN = RAMP * np.array([0, 1, 0], np.uint8)


def tables() -> dict[str, Kind]:
    """What is shown is not what is stored."""
    wide = np.ascontiguousarray(RAINBOW.T.astype(np.uint16) * 257)
    green = np.ascontiguousarray(GREEN.T.astype(np.uint16) * 257)
    palette = {"photometric": "palette"}
    return {
        "0 is white": Kind(tiff(255 - SMALL, photometric="miniswhite"), SMALL[None], "0 is white"),
        "0 is white, 16 bits": Kind(tiff(65535 - PLANE, photometric="miniswhite"), PLANE[None], "0 is white"),
        "0 is white, pieces": Kind(
            tiff(255 - SMALL, photometric="miniswhite", tile=(16, 16), compression="zlib"), SMALL[None], "0 is white"
        ),
        "0 is white, one bit": Kind(tiff(SMALL < 99, photometric="miniswhite"), (SMALL >= 99)[None], "0 is white"),
        "0 is white, signed": Kind(
            tiff((-1 - SMALL.astype(np.int16)), photometric="miniswhite"), SMALL[None].astype(np.int16), "0 is white"
        ),
        "0 is white, real numbers": Kind(
            tiff(SMALL.astype(np.float32), photometric="miniswhite"), SMALL[None].astype(np.float32), "0 is white"
        ),
        "tiff with a table of colours": Kind(
            tiff(SMALL, colormap=wide, **palette), first(RAINBOW[SMALL]), "colours of its colour table"
        ),
        "tiff whose table is green": Kind(tiff(SMALL, colormap=green, **palette), SMALL[None]),
        "png with a table of colours": Kind(
            _pal(SMALL, RAINBOW, "a.png"), first(RAINBOW[SMALL]), "colours of its colour table"
        ),
        "png whose table is grey": Kind(_pal(SMALL, RAMP, "a.png"), SMALL[None]),
        "bmp with a table of colours": Kind(
            _pal(SMALL, RAINBOW, "a.bmp"), first(RAINBOW[SMALL]), "colours of its colour table"
        ),
    }


def _pages(*pages: tuple[Array, dict[str, Any]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with tifffile.TiffWriter(folder / "a.tif") as tif:
            for array, options in pages:
                tif.write(array, metadata=None, contiguous=False, **{"photometric": "minisblack", **options})
        return folder / "a.tif"

    return make


def pages() -> dict[str, Kind]:
    """Thumbnails, pyramids, stacks whose axes nobody names."""
    half, quarter = PLANE[::2, ::2], PLANE[::4, ::4]
    thumbnail = {"subfiletype": 1}
    return {
        "a thumbnail first, which says so": Kind(_pages((quarter, thumbnail), (PLANE, {})), PLANE[None]),
        "a thumbnail last, which says so": Kind(_pages((PLANE, {}), (quarter, thumbnail)), PLANE[None]),
        "a coloured thumbnail first": Kind(
            _pages((COLOUR[::4, ::4, :3], {**thumbnail, "photometric": "rgb"}), (PLANE, {})), PLANE[None]
        ),
        "a pyramid from small to large": Kind(
            _pages((quarter, {}), (half, {}), (PLANE, {})), PLANE[None], "one image in 3 sizes"
        ),
        "a pyramid from large to small": Kind(_pages((PLANE, {}), (half, {}), (quarter, {})), PLANE[None]),
        "a pyramid that says so, small first": Kind(
            _pages((quarter, thumbnail), (half, thumbnail), (PLANE, {})), PLANE[None]
        ),
        "two images that have nothing to do with each other": Kind(
            _pages((PLANE, {}), (STACK[0, :20, :11], {})), PLANE[None], "2 images; the first"
        ),
        "channels last, 16 bits": Kind(tiff(FIVE), first(FIVE), "read as YXC"),
        "channels last, real numbers": Kind(
            tiff(FIVE[..., :3].astype(np.float32)), first(FIVE[..., :3]).astype(np.float32), "read as YXC"
        ),
        "channels last in a volume": Kind(
            tiff(np.stack([FIVE[..., :2]] * 3)), np.moveaxis(np.stack([FIVE[..., :2]] * 3), -1, 0), "read as ZYXC"
        ),
        "an axis of angles": Kind(tiff(STACK, metadata={"axes": "AYX"}), None, "no axis 'angle'"),
        "an axis of phases, ome": Kind(
            tiff(np.stack([STACK, STACK]), "a.ome.tif", metadata={"axes": "HZYX"}), None, "no axis 'lifetime'"
        ),
        "an axis of angles that is said to be Z": Kind(tiff(STACK, metadata={"axes": "AYX"}), STACK[None], axes="ZYX"),
    }


def sets() -> dict[str, Kind]:
    """OME-TIFFs that speak of several files."""
    other = RANDOM.integers(0, 9999, PLANE.shape).astype(np.uint16)
    larger = RANDOM.integers(0, 9999, (40, 50)).astype(np.uint16)

    def two(second: Array, which: str, **options: Any) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            omesets.positions(folder, {"Pos0.ome.tif": PLANE, "Pos1.ome.tif": second}, **options)
            return folder / which

        return make

    def lonely(folder: Path) -> Path:
        omesets.positions(folder, {"Pos0.ome.tif": PLANE, "Pos1.ome.tif": other})
        (folder / "Pos0.ome.tif").unlink()
        return folder / "Pos1.ome.tif"

    def stack(which: int, gone: int | None = None, companion: str | None = None, form: str = "NFC", keep: bool = True,
              ) -> Callable[[Path], Path]:  # fmt: skip
        def make(folder: Path) -> Path:
            names = omesets.slices(folder, STACK, companion, form)
            if gone is not None:
                (folder / names[gone]).unlink()
            if companion and not keep:
                (folder / companion).unlink()
            return folder / (companion if which < 0 and companion else names[which])

        return make

    def renamed(folder: Path) -> Path:
        text = omesets.pixels((1, 1, 5, 24, 33), [("Z", z, "old.ome.tif", z) for z in range(5)])
        return omesets.write(folder / "new.ome.tif", STACK, omesets.ome(text, "old.ome.tif"))

    def cropped(folder: Path) -> Path:
        text = omesets.pixels((1, 1, 1, 99, 99), [("Z", 0, "a.ome.tif", 0)])
        return omesets.write(folder / "a.ome.tif", PLANE[None], omesets.ome(text, "a.ome.tif"))

    def described(xml: str) -> Callable[[Path], Path]:
        return lambda folder: omesets.write(folder / "a.ome.tif", PLANE[None], xml)

    def reordered(folder: Path) -> Path:
        text = omesets.pixels((1, 1, 5, 24, 33), [("Z", z, "a.ome.tif", 4 - z) for z in range(5)])
        return omesets.write(folder / "a.ome.tif", STACK, omesets.ome(text, "a.ome.tif"))

    plain = omesets.pixels((1, 1, 1, 24, 33), [("Z", 0, "a.ome.tif", 0)], 0.25)
    entity = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    flat = (0.5, 0.5)
    unknown = "not the distance of slices"
    whole = {"pixels": STACK[None], "said": unknown}
    return {
        "the first of two positions": Kind(two(other, "Pos0.ome.tif"), PLANE[None], size=flat),
        "the second of two positions": Kind(two(other, "Pos1.ome.tif"), other[None], size=(1.5, 1.5)),
        "the second of two positions, packed": Kind(
            two(other, "Pos1.ome.tif", compression="zlib"), other[None], size=(1.5, 1.5), names=("of Pos1.ome.tif",)
        ),
        "the second of two sizes": Kind(two(larger, "Pos1.ome.tif"), larger[None], size=(1.5, 1.5)),
        "a position without its sister": Kind(lonely, other[None], size=(1.5, 1.5)),
        "one slice of a set": Kind(stack(2), **whole),
        "one slice of a set that lacks another": Kind(stack(2, gone=4), None, "1 are missing: s_4.ome.tif"),
        "a slice with a companion": Kind(stack(1, companion="s.companion.ome"), **whole),
        "a companion": Kind(stack(-1, companion="s.companion.ome"), **whole),
        "a companion that lacks a file": Kind(stack(-1, gone=0, companion="s.companion.ome"), None, "missing"),
        "a slice without its companion": Kind(
            stack(1, companion="s.companion.ome", keep=False), STACK[1:2], "one part of a set that s.companion.ome"
        ),
        "an ome-tiff that was renamed": Kind(renamed, **whole),
        "an ome-tiff whose pages are in another order": Kind(reordered, STACK[None, ::-1], unknown),
        "an ome-tiff that was cropped": Kind(cropped, PLANE[None], "another size"),
        "xml in single quotes": Kind(
            described(omesets.ome(plain, "a.ome.tif").replace('"', "'")), PLANE[None], size=(0.25, 0.25)
        ),
        "xml with a prefix": Kind(
            described(
                omesets.ome(plain, "a.ome.tif")
                .replace("xmlns=", "xmlns:o=")
                .replace("<", "<o:")
                .replace("<o:/", "</o:")
                .replace("<o:?", "<?")
            ),
            PLANE[None],
            size=(0.25, 0.25),
        ),
        "xml that is cut": Kind(
            described(omesets.ome(plain, "a.ome.tif").replace("</Pixels>", "")), PLANE[None], "cannot be read"
        ),
        "xml with entities": Kind(
            described(omesets.ome(plain, "a.ome.tif").replace("?>", f"?>{entity}")), PLANE[None], "cannot be read"
        ),
        "xml without sizes": Kind(described(omesets.ome(plain, "a.ome.tif").replace('SizeC="1"', "")), None, "SizeC"),
    }


def _imagej(**about: Any) -> Callable[[Path], Path]:
    return tiff(STACK, imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", **about})


def _three_of_five(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "a.tif") as tif:
        for k in range(5):
            text = "ImageJ=1.53t\nimages=3\nslices=3\n" if k == 0 else None
            tif.write(STACK[k], contiguous=False, metadata=None, description=text, photometric="minisblack")
    return folder / "a.tif"


def lengths() -> dict[str, Kind]:
    """Voxel sizes."""

    def ome(value: float, unit: str) -> Callable[[Path], Path]:
        text = omesets.ome(omesets.pixels((1, 1, 1, 24, 33), [("Z", 0, "a.ome.tif", 0)], value, unit), "a.ome.tif")
        return lambda folder: omesets.write(folder / "a.ome.tif", PLANE[None], text)

    def dpi(number: float, unit: str, **options: Any) -> Callable[[Path], Path]:
        return tiff(PLANE, resolution=(number, number), resolutionunit=unit, metadata=None, **options)

    flat = {
        f"ome in {name}": Kind(ome(value, name), PLANE[None], size=(0.2, 0.2))
        for value, name in ((2e5, "pm"), (200, "nm"), (0.2, "&#xB5;m"), (0.2, "\u03bcm"), (0.2, "um"), (2e-4, "mm"),
                            (2e-5, "cm"), (2e-7, "m"), (2000, "&#197;"), (2000, "\u212b"))
    }  # fmt: skip
    return {
        **flat,
        "ome in pixels": Kind(ome(1, "pixel"), PLANE[None]),
        "ome in reference frames": Kind(ome(3, "reference frame"), PLANE[None]),
        "imagej, slices from the bottom": Kind(_imagej(spacing=-2.0, unit="um"), STACK[None], size=(2, 0.5, 0.5)),
        "imagej, slices in nanometres": Kind(
            _imagej(spacing=300.0, unit="um", zunit="nm", yunit="um"), STACK[None], size=(0.3, 0.5, 0.5)
        ),
        "imagej, micron": Kind(_imagej(spacing=1.5, unit="micron"), STACK[None], size=(1.5, 0.5, 0.5)),
        "imagej, escaped unit": Kind(_imagej(spacing=1.5, unit="\\u00B5m"), STACK[None], size=(1.5, 0.5, 0.5)),
        "imagej without a distance of slices": Kind(_imagej(unit="um"), STACK[None], "not the distance of slices"),
        "imagej in pixels": Kind(_imagej(spacing=2.0, unit="pixel"), STACK[None]),
        "imagej, 72 dpi": Kind(tiff(PLANE, imagej=True, resolution=(72, 72), metadata={"unit": "inch"}), PLANE[None]),
        "imagej with more pages than it says": Kind(_three_of_five, STACK[None, :3], "5 pages"),
        "72 dpi": Kind(dpi(72, "INCH"), PLANE[None]),
        "300 dpi": Kind(dpi(300, "INCH"), PLANE[None]),
        "1200 dpi": Kind(dpi(1200, "INCH"), PLANE[None]),
        "28.35 per centimetre": Kind(dpi(28.35, "CENTIMETER"), PLANE[None]),
        "40000 per centimetre": Kind(dpi(40000, "CENTIMETER"), PLANE[None], size=(0.25, 0.25)),
        "a resolution without a unit": Kind(dpi(4, "NONE"), PLANE[None]),
    }


def _multiscales(axes: list[Any], levels: list[tuple[str, list[float]]], **more: Any) -> dict[str, Any]:
    datasets = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]} for path, scale in levels
    ]
    return {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}], **more}


def _space(*names: str, unit: str | None = "micrometer") -> list[dict[str, str]]:
    return [{"name": n, "type": "space", **({"unit": unit} if unit else {})} for n in names]


def _group(arrays: dict[str, Array], about: dict[str, Any], name: str = "a.zarr") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        group = zarr.create_group(folder / name, zarr_format=2)
        group.attrs.update(about)
        for path, array in arrays.items():
            made = group.create_array(path, shape=array.shape, dtype=array.dtype, chunks=(8,) * array.ndim)
            made[...] = array
        return folder / name

    return make


def _named(
    names: list[str | None] | None, version: int, attribute: str = "", shape: Array = STACK
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        options: dict[str, Any] = {"dimension_names": names} if version == 3 else {}
        made = zarr.create_array(folder / "a.zarr", shape=shape.shape, dtype=shape.dtype, chunks=(2, 8, 8),
                                 zarr_format=version, **options)  # type: ignore[arg-type]  # fmt: skip
        made[...] = shape
        if attribute:
            made.attrs[attribute] = names
        return folder / "a.zarr"

    return make


def zarrs() -> dict[str, Kind]:
    """Zarr and OME-Zarr."""
    half, quarter = PLANE[::2, ::2], PLANE[::4, ::4]
    yx = _space("y", "x")
    levels = {"0": PLANE, "1": half, "2": quarter}
    down = [("0", [0.5, 0.5]), ("1", [1.0, 1.0]), ("2", [2.0, 2.0])]

    def sparse(folder: Path) -> Path:
        path = _group({"0": PLANE[:16, :16]}, _multiscales(yx, [("0", [1.0, 2.0])]))(folder)
        for chunk in ("0.1", "1.0", "1.1"):
            (path / "0" / chunk).unlink()
        return path

    def xarray(folder: Path) -> Path:
        path = folder / "a.zarr"
        group = zarr.create_group(path, zarr_format=2)
        made = group.create_array("dapi", shape=STACK.shape, dtype=STACK.dtype, chunks=(2, 8, 8))
        made[...] = STACK
        made.attrs["_ARRAY_DIMENSIONS"] = ["z", "y", "x"]
        group.create_array("z", shape=(5,), dtype="f8", chunks=(5,))[...] = np.arange(5.0)
        return path

    def plate(folder: Path) -> Path:
        group = zarr.create_group(folder / "p.zarr", zarr_format=2)
        group.attrs["plate"] = {"wells": [{"path": "A/1"}]}
        return folder / "p.zarr"

    cut = PLANE[:16, :16].copy()
    cut[8:], cut[:, 8:] = 0, 0
    return {
        "zarr 3 that names its axes": Kind(_named(["z", "y", "x"], 3), STACK[None]),
        "zarr 3 that names channels": Kind(_named(["channel", "y", "x"], 3), STACK),
        "zarr 3 that names some axes": Kind(_named([None, "y", "x"], 3), STACK[None], "axes read as ZYX"),
        "zarr of xarray": Kind(_named(["z", "y", "x"], 2, "_ARRAY_DIMENSIONS"), STACK[None]),
        "zarr of xarray, turned": Kind(
            _named(["x", "y", "z"], 2, "_ARRAY_DIMENSIONS", STACK.transpose(2, 1, 0)), STACK[None]
        ),
        "a data set of xarray": Kind(xarray, STACK[None], "its array dapi is read"),
        "zarr with an axis of angles": Kind(_named(["angle", "y", "x"], 3), None, "no axis 'angle'"),
        "ome-zarr with an axis of angles": Kind(
            _group({"0": STACK}, _multiscales([{"name": "angle", "type": "custom"}, *yx], [("0", [1, 1, 1])])),
            None,
            "no axis 'angle'",
        ),
        "ome-zarr with one angle": Kind(
            _group({"0": STACK[:1]}, _multiscales([{"name": "angle"}, *yx], [("0", [1, 2, 2])])),
            STACK[:1],
            size=(2, 2),
        ),
        "ome-zarr, levels from large to small": Kind(
            _group(levels, _multiscales(yx, down)), PLANE[None], size=(0.5, 0.5)
        ),
        "ome-zarr, levels from small to large": Kind(
            _group(levels, _multiscales(yx, down[::-1])), PLANE[None], size=(0.5, 0.5)
        ),
        "ome-zarr, levels in no order": Kind(
            _group(levels, _multiscales(yx, [down[1], down[0], down[2]])), PLANE[None], size=(0.5, 0.5)
        ),
        "ome-zarr whose scales contradict its shapes": Kind(
            _group(levels, _multiscales(yx, [("0", [2.0, 2.0]), ("1", [1.0, 1.0]), ("2", [0.5, 0.5])])),
            PLANE[None],
            "contradict their shapes",
        ),
        "ome-zarr whose full resolution is not there": Kind(
            _group({"1": half, "2": quarter}, _multiscales(yx, down)), None, "lacks its full resolution"
        ),
        "ome-zarr in nanometres": Kind(
            _group({"0": PLANE}, _multiscales(_space("y", "x", unit="nanometer"), [("0", [200.0, 200.0])])),
            PLANE[None],
            size=(0.2, 0.2),
        ),
        "ome-zarr without a unit": Kind(
            _group({"0": PLANE}, _multiscales(_space("y", "x", unit=None), [("0", [0.2, 0.2])])),
            PLANE[None],
            "no unit of length",
            size=(0.2, 0.2),
        ),
        "ome-zarr with turned axes": Kind(
            _group(
                {"0": STACK.transpose(1, 2, 0)},
                _multiscales([*yx, {"name": "c", "type": "channel"}], [("0", [1, 1, 1])]),
            ),
            STACK,
            size=(1, 1),
        ),
        "ome-zarr with lost chunks": Kind(sparse, cut[None], "3 of 4 chunks are not stored", size=(1, 2)),
        "a plate whose well is not there": Kind(plate, None, "this plate lacks its well A/1"),
    }


def _roi(corners: list[tuple[int, int]], kind: int = 7) -> bytes:
    x, y = np.array(corners).T
    left, top = int(x.min()), int(y.min())
    head = struct.pack(">4shBBhhhhH", b"Iout", 227, kind, 0, top, left, int(y.max()), int(x.max()), len(corners))
    body = struct.pack(f">{len(corners)}h", *(x - left)) + struct.pack(f">{len(corners)}h", *(y - top))
    return head.ljust(64, b"\0") + body


def _squares() -> list[list[tuple[int, int]]]:
    corners = []
    for k in range(6):
        y, x = 2 + 11 * (k // 3), 2 + 10 * (k % 3)
        corners.append([(x, y), (x + 7, y), (x + 7, y + 7), (x, y + 7)])
    return corners


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a_rois.zip", "w") as archive:
        for k, corners in enumerate(_squares()):
            archive.writestr(f"{k}.roi", _roi(corners))
    return folder / "a_rois.zip"


def geojson(kind: str = "Polygon") -> Callable[[Path], Path]:
    """The outlines of `LABELS`."""
    import json

    def make(folder: Path) -> Path:
        features = []
        for square in _squares():
            ring = [*square, square[0]]
            corners: Any = [ring] if kind == "Polygon" else [[ring]] if kind == "MultiPolygon" else ring
            features.append({"type": "Feature", "geometry": {"type": kind, "coordinates": corners}, "properties": {}})
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (folder / "a.geojson").write_text(text)
        return folder / "a.geojson"

    return make


def labels() -> dict[str, Kind]:
    """Label files."""
    cells, nuclei = LABELS.astype(np.uint16), np.where(np.indices(LABELS.shape).sum(0) % 2 == 0, LABELS, 0)
    both = np.stack([cells, nuclei.astype(np.uint16)])
    wide = np.ascontiguousarray(RAINBOW.T.astype(np.uint16) * 257)
    grey = np.repeat(LABELS[..., None], 3, -1)
    clear = np.concatenate([grey, np.full((*LABELS.shape, 1), 255, np.uint8)], -1)
    yx = _space("y", "x")
    shown = _multiscales(yx, [("0", [1.0, 1.0])], **{"image-label": {}})

    def beside(folder: Path) -> Path:
        path = _group({"0": PLANE}, _multiscales(yx, [("0", [1.0, 1.0])]))(folder)
        _group({"0": LABELS}, shown, "a.zarr/labels/cells")(folder)
        return path

    def pickled(folder: Path) -> Path:
        np.save(folder / "a_seg.npy", {"masks": LABELS}, allow_pickle=True)  # type: ignore[arg-type]
        return folder / "a_seg.npy"

    def transparent(folder: Path) -> Path:
        from PIL import Image

        Image.fromarray(LABELS).save(folder / "a.png", transparency=0)
        return folder / "a.png"

    right = LABELS[None]
    return {
        "labels in an indexed png": Kind(_pal(LABELS, RAINBOW, "a.png"), right),
        "labels in an indexed png of 4 bits": Kind(_pal(LABELS, RAINBOW[:16], "a.png", bits=4), right),
        "labels in an indexed png with grey": Kind(_pal(LABELS, RAMP, "a.png"), right),
        "labels in an indexed bmp": Kind(_pal(LABELS, RAINBOW, "a.bmp"), right),
        "labels in an indexed tiff": Kind(tiff(LABELS, photometric="palette", colormap=wide), right),
        "labels in a png whose 0 is clear": Kind(transparent, right),
        "labels in a png with three equal colours": Kind(data(imagecodecs.png_encode(grey), "a.png"), right),
        "labels in a png with equal colours and opacity": Kind(data(imagecodecs.png_encode(clear), "a.png"), right),
        "labels where 0 is white": Kind(tiff(LABELS, photometric="miniswhite"), right),
        "cells and nuclei as channels": Kind(
            tiff(both, imagej=True, metadata={"axes": "CYX"}), None, "2 channels, and it does not say"
        ),
        "cells and nuclei as channels, ome": Kind(
            tiff(both, "a.ome.tif", metadata={"axes": "CYX", "Channel": {"Name": ["cell", "nucleus"]}}),
            None,
            "2 channels",
        ),
        "cells and nuclei as samples": Kind(tiff(first(both), planarconfig="contig"), None, "no colours"),
        "layers, as the user says": Kind(tiff(both, imagej=True, metadata={"axes": "CYX"}), both, axes="LYX"),
        "layers, as the file says": Kind(tiff(both, metadata={"axes": "LYX"}), both),
        "layers of the toolkit": Kind(
            tiff(both, "a.ome.tif", metadata={"axes": "CYX", "Channel": {"Name": ["layer-0", "layer-1"]}}), both
        ),
        "an image zarr with labels in it": Kind(beside, None, "name a.zarr/labels/cells"),
        "an image zarr": Kind(_group({"0": PLANE}, _multiscales(yx, [("0", [1.0, 1.0])])), None, "is an image"),
        "labels of an ome-zarr": Kind(_group({"0": LABELS}, shown), right, size=(1, 1)),
        "a pickle of cellpose": Kind(pickled, None, "Python pickle"),
        "outlines of qupath": Kind(geojson(), right),
        "outlines of qupath in several pieces": Kind(geojson("MultiPolygon"), right),
        "lines of qupath": Kind(geojson("LineString"), None, "no area but a LineString"),
        "outlines of imagej": Kind(_zip, right),
        "a rectangle of imagej": Kind(data(_roi(_squares()[0], 1), "a.roi"), np.where(right == 1, 1, 0)),
        "a line of imagej": Kind(data(_roi(_squares()[0], 3), "a.roi"), None, "no area"),
    }
