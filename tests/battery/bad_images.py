"""Images that are damaged, hostile or odd, and what is to come of each."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from scipy import ndimage
from zarr.codecs import BytesCodec, ZstdCodec

Array = np.ndarray
DARK, BRIGHT = 20, 200


@dataclass(frozen=True, eq=False)
class Case:
    """`make(folder)` writes an image and returns its path; `labels` are its objects, None if it cannot be used.

    `said` is part of what is told on standard error; `arguments` go to `seg run`.
    """

    make: Callable[[Path], Path]
    labels: Array | None = None
    said: str = ""
    arguments: tuple[str, ...] = ()


def scene(shape: tuple[int, int] = (72, 90), level: int = BRIGHT) -> Array:
    """Bright rectangles of several sizes on dark ground, apart from each other."""
    image = np.full(shape, DARK, np.uint8)
    for k, (y, x) in enumerate((y, x) for y in range(4, shape[0] - 14, 18) for x in range(4, shape[1] - 14, 22)):
        image[y : y + 6 + k % 5, x : x + 8 + k % 7] = level
    return image


def objects(image: Array) -> Array:
    """Connected components of what is bright."""
    return np.asarray(ndimage.label(image > (DARK + BRIGHT) / 2)[0])


SCENE = scene()
OBJECTS = objects(SCENE)


def cases() -> dict[str, Case]:
    """All of them by name."""
    return {**_tiffs(), **_zarrs(), **_values()}


def _file(data: bytes, name: str = "image.tif") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _tiff(array: Array = SCENE, **options: Any) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    tifffile.imwrite(stream, array, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def _tag(data: bytes, code: int, value: int) -> bytes:
    """The file with the value of a tag of its first directory replaced."""
    changed = bytearray(data)
    at = struct.unpack_from("<I", data, 4)[0]
    for k in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * k
        if struct.unpack_from("<H", data, entry)[0] == code:
            short = struct.unpack_from("<H", data, entry + 2)[0] == 3
            struct.pack_into("<HH" if short else "<I", changed, entry + 8, *((value, 0) if short else (value,)))
            return bytes(changed)
    raise ValueError(f"no tag {code}")


def _circular(data: bytes) -> bytes:
    """The file with a directory that follows itself."""
    changed = bytearray(data)
    at = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<I", changed, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], at)
    return bytes(changed)


WIDTH, LENGTH, BITS, COMPRESSION, OFFSETS, COUNTS = 256, 257, 258, 259, 273, 279


def _tiffs() -> dict[str, Case]:
    plain, packed = _tiff(), _tiff(compression="zlib")
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    at = struct.unpack_from("<I", packed, 4)[0]
    broken = bytearray(packed)
    strip = packed.rindex(b"\x78", at)
    broken[strip + 2 : strip + 40] = noise[:38]
    bomb = _tag(_tag(_tiff(np.zeros((64, 64), np.uint8), compression="zlib"), WIDTH, 300_000), LENGTH, 300_000)
    from imagecodecs import png_encode

    return {
        "tiff cut in half": Case(_file(plain[: len(plain) // 2])),
        "tiff cut in half, packed": Case(_file(packed[: -len(packed) // 4])),
        "tiff of a header only": Case(_file(plain[:8])),
        "tiff of four bytes": Case(_file(plain[:4])),
        "tiff of no byte": Case(_file(b"")),
        "tiff of noise": Case(_file(noise)),
        "tiff of a header and noise": Case(_file(plain[:8] + noise)),
        "tiff of text": Case(_file(b"id,area\n1,20\n")),
        "tiff with a broken strip": Case(_file(bytes(broken))),
        "tiff with strips beyond the end": Case(_file(_tag(plain, OFFSETS, 2**31))),
        "tiff with an unknown compression": Case(_file(_tag(packed, COMPRESSION, 60001))),
        "tiff without width": Case(_file(_tag(plain, WIDTH, 0))),
        "tiff that is a bomb": Case(_file(bomb), said="declares"),
        "tiff whose directories go round": Case(_file(_circular(plain)), said="circle"),
        "tiff that is a png": Case(_file(png_encode(SCENE)), OBJECTS),
    }


def _zarr(change: Callable[[Path], None] = lambda _: None, version: int = 3) -> Callable[[Path], Path]:
    """An OME-Zarr image that `change` has then damaged."""

    def make(folder: Path) -> Path:
        path = folder / "image.zarr"
        axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
        scale = [{"type": "scale", "scale": [0.5, 0.5]}]
        scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
        group = zarr.create_group(path, zarr_format=version)  # type: ignore[arg-type]
        if version == 3:
            group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
            array = group.create_array("0", shape=SCENE.shape, chunks=(40, 40), dtype="u1",
                                       serializer=BytesCodec(), compressors=ZstdCodec(checksum=True))  # fmt: skip
        else:
            group.attrs["multiscales"] = [{**scales[0], "version": "0.4"}]
            array = group.create_array("0", shape=SCENE.shape, chunks=(40, 40), dtype="u1")
        array[:] = SCENE
        change(path)
        return path

    return make


def _described(**fields: Any) -> Callable[[Path], None]:
    """Change fields of the array's description."""

    def change(path: Path) -> None:
        file = path / "0" / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return change


def _replaced(name: str, data: bytes | Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path / name
        file.write_bytes(data if isinstance(data, bytes) else data(file.read_bytes()))

    return change


def _multiscale(**fields: Any) -> Callable[[Path], None]:
    """Change fields of the description of the image."""

    def change(path: Path) -> None:
        file = path / "zarr.json"
        about = json.loads(file.read_text())
        about["attributes"]["ome"]["multiscales"][0] |= fields
        file.write_text(json.dumps(about))

    return change


def _chunks(*shape: int) -> dict[str, Any]:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shape)}}}


def _zarrs() -> dict[str, Case]:
    gap = SCENE.copy()
    gap[:40, :40] = 0
    elsewhere = [{"path": "../../secret", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    return {
        "zarr": Case(_zarr(), OBJECTS),
        "zarr of format 2": Case(_zarr(version=2), OBJECTS),
        "zarr with a chunk that was never written": Case(_zarr(lambda p: (p / "0/c/0/0").unlink()), objects(gap)),
        "zarr with a chunk cut in half": Case(_zarr(_replaced("0/c/0/1", lambda data: data[: len(data) // 2]))),
        "zarr with a flipped byte": Case(
            _zarr(_replaced("0/c/1/1", lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]))
        ),
        "zarr with a chunk of noise": Case(_zarr(_replaced("0/c/0/0", b"noise" * 9))),
        "zarr with a broken description": Case(_zarr(_replaced("0/zarr.json", b'{"shape": ['))),
        "zarr with an empty description": Case(_zarr(_replaced("zarr.json", b""))),
        "zarr without its array": Case(_zarr(lambda p: shutil.rmtree(p / "0"))),
        "zarr of negative shape": Case(_zarr(_described(shape=[-72, 90]))),
        "zarr that is a bomb": Case(_zarr(_described(shape=[2**20, 2**20]))),
        "zarr whose chunk is a bomb": Case(_zarr(_described(shape=[2**20, 2**20], **_chunks(2**20, 2**20)))),
        "zarr with an unknown codec": Case(_zarr(_described(codecs=[{"name": "nonsense", "configuration": {}}]))),
        "zarr that points outside": Case(_zarr(_multiscale(datasets=elsewhere))),
        "zarr with too many axes": Case(_zarr(_multiscale(axes=[{"name": a} for a in "tczyx"]))),
        "zarr that is an empty folder": Case(_folder),
    }


def _folder(folder: Path) -> Path:
    (folder / "image.zarr").mkdir()
    return folder / "image.zarr"


def _values() -> dict[str, Case]:
    none = np.zeros((72, 90), np.int64)
    numbers = SCENE.astype(np.float32)
    holes, peaks = numbers.copy(), numbers.copy()
    seen_holes, seen_peaks = SCENE.copy(), SCENE.copy()
    inside = tuple(np.argwhere(SCENE == BRIGHT)[30])
    for image, seen, value in ((holes, seen_holes, np.nan), (peaks, seen_peaks, np.inf)):
        for place in ((0, 0), (71, 89), inside):
            image[place], seen[place] = value, DARK
    dots = np.full((1044, 1044), DARK, np.uint8)
    dots[1::4, 1::4] = BRIGHT
    one = np.full((1, 1), 7, np.uint8)
    thin = np.where(np.arange(90) % 30 < 9, BRIGHT, DARK).astype(np.uint8)[None]
    few = ("--set", "postprocess.kind=threshold", "--set", "postprocess.min_size=100000")
    return {
        "some NaN": Case(_file(_tiff(holes)), objects(seen_holes), "not finite"),
        "some infinite": Case(_file(_tiff(peaks)), objects(seen_peaks), "not finite"),
        "all NaN": Case(_file(_tiff(np.full((72, 90), np.nan, np.float32))), said="finite"),
        "all infinite": Case(_file(_tiff(np.full((72, 90), -np.inf, np.float32))), said="finite"),
        "constant": Case(_file(_tiff(np.full((72, 90), 117, np.uint16))), none),
        "zero": Case(_file(_tiff(np.zeros((72, 90), np.float32))), none),
        "bool": Case(_file(_tiff(SCENE == BRIGHT)), OBJECTS),
        "float16": Case(_file(_tiff(SCENE.astype(np.float16))), OBJECTS),
        "negative": Case(_file(_tiff(SCENE.astype(np.int32) - 5000)), OBJECTS),
        "big-endian": Case(_file(_tiff((SCENE.astype(np.uint16) * 200).astype(">u2"), byteorder=">")), OBJECTS),
        "int64": Case(_file(_tiff(SCENE.astype(np.int64))), OBJECTS),
        "uint64": Case(_file(_tiff(SCENE.astype(np.uint64))), OBJECTS),
        "complex": Case(_file(_tiff(SCENE.astype(np.complex64))), said="not supported"),
        "one voxel": Case(_file(_tiff(one)), np.zeros((1, 1), np.int64)),
        "one row": Case(_file(_tiff(thin)), objects(thin)),
        "no object": Case(_file(_tiff()), none, arguments=few),
        "more than 65 535 objects": Case(_file(_tiff(dots)), objects(dots)),
    }
