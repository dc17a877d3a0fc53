from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from google_crc32c import value as crc32c  # type: ignore[import-untyped]
from numcodecs import BZ2, LZ4, LZMA, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ZstdCodec

from toolkit import io
from toolkit.errors import InputError
from toolkit.io import unpacked as module
from toolkit.io.chunks import bound, opened
from toolkit.values.tiles import Box

BOMB = np.zeros(2**29, np.uint8)
"""More than any chunk of these small arrays may hold."""
NEW = {
    "zstd": (ZstdCodec(), Zstd(1)),
    "gzip": (GzipCodec(), GZip(1)),
    "blosc": (BloscCodec(cname="zstd"), Blosc("zstd")),
}
OLD = {"zstd": Zstd(1), "zlib": Zlib(1), "bz2": BZ2(1), "lzma": LZMA(preset=0), "lz4": LZ4(), "blosc": Blosc("lz4")}


def written(path: Path, **options: Any) -> np.ndarray:
    voxels = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    voxels[:32, :32] = 0
    array = zarr.create_array(path, shape=voxels.shape, chunks=(16, 16), dtype="u1", **options)
    array[:] = voxels
    return voxels


def everything(path: Path) -> np.ndarray:
    return np.asarray(io.read(path).read()[0])


@pytest.mark.slow
@pytest.mark.parametrize("codec", NEW)
@pytest.mark.parametrize("shards", [None, (32, 32)])
def test_honest_chunks_are_read_and_one_that_unpacks_to_more_is_refused(
    tmp_path: Path, codec: str, shards: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HARMLESS", 0)
    path = tmp_path / "a.zarr"
    voxels = written(path, compressors=NEW[codec][0], serializer=BytesCodec(), shards=shards)
    assert np.array_equal(everything(path), voxels)
    assert np.array_equal(io.read(path).read()[0][3:20, 5:40], voxels[3:20, 5:40])
    chunk = path / "c" / "1" / "1"
    bomb = NEW[codec][1].encode(BOMB)
    if shards:
        place = np.array([[0, len(bomb)]] * 4, "<u8").tobytes()
        bomb += place + crc32c(place).to_bytes(4, "little")
    chunk.write_bytes(bomb)
    with pytest.raises(InputError, match="unpacks to more"):
        everything(path)


@pytest.mark.slow
@pytest.mark.parametrize("codec", OLD)
def test_so_it_is_with_the_codecs_of_version_2(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HARMLESS", 0)
    path = tmp_path / "a.zarr"
    voxels = written(path, compressors=OLD[codec], zarr_format=2)
    assert np.array_equal(everything(path), voxels)
    (path / "1.1").write_bytes(OLD[codec].encode(BOMB))
    with pytest.raises(InputError, match="unpacks to more"):
        everything(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("left", [0.02, 0.5, 0.99])
def test_a_chunk_of_blosc_that_is_cut_off_is_refused(tmp_path: Path, version: int, left: float) -> None:
    path = tmp_path / "a.zarr"
    written(path, compressors=OLD["blosc"] if version == 2 else BloscCodec(cname="lz4"), zarr_format=version)
    chunk = path / ("2.2" if version == 2 else "c/2/2")
    os.truncate(chunk, int(chunk.stat().st_size * left))
    with pytest.raises(InputError, match="cut off"):
        everything(path)


def test_parts_of_shards_of_blosc_are_read_where_chunks_are_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    voxels = np.zeros((64, 64), np.uint8)
    voxels[20:30, 20:60] = 7
    zarr.create_array(path, shape=(64, 64), chunks=(16, 16), shards=(32, 32), dtype="u1", compressors=BloscCodec())[
        :
    ] = voxels
    part = Box((18, 17), (31, 25))
    assert np.array_equal(io.read(path).read(part)[0], voxels[part.slices])


@pytest.mark.parametrize("codec", sorted(module.UNPACKED))
@pytest.mark.parametrize("size", [0, 1, 15, 16, 1000, 2**18 + 3])
def test_a_chunk_is_never_taken_for_less_than_it_is(codec: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HARMLESS", 0)
    for data in (bytes(size), np.random.default_rng(size).bytes(size)):
        packed = {**OLD, "gzip": GZip(6)}[codec].encode(data)
        assert module.unpacked(memoryview(packed), codec, 2**20) >= (size if len(packed) >= 16 else 0)
        assert module.unpacked(memoryview(packed), codec, 2**20) <= max(
            4 * size, 2**17, len(packed), 1032 * len(packed)
        )


def test_a_frame_that_does_not_say_its_size_is_measured_by_its_blocks() -> None:
    header = b"\x28\xb5\x2f\xfd" + bytes([0, 0x58])
    repeated = ((2**17 << 3) | 0b010).to_bytes(3, "little") + b"x"
    last = ((5 << 3) | 0b001).to_bytes(3, "little") + b"abcde"
    assert module.unpacked(memoryview(header + repeated * 3 + last), "zstd", 2**30) == 3 * 2**17 + 5


def test_a_small_file_may_not_stand_for_a_huge_chunk_and_a_large_one_may(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2**15, 2**15), chunks=(2**15, 2**15), dtype="u1",
                              compressors=ZstdCodec())  # fmt: skip
    chunk = tmp_path / "a.zarr" / "c" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    for size, fits in ((4096, False), (2**20, True)):
        chunk.write_bytes(bytes(size))
        if fits:
            bound(tmp_path / "a.zarr", opened(tmp_path / "a.zarr"))
            continue
        with pytest.raises(InputError, match="too large"):
            bound(tmp_path / "a.zarr", opened(tmp_path / "a.zarr"))
    assert array.nbytes == 2**30


def test_what_is_compressed_twice_or_has_endless_shards_or_is_no_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.zarr", compressors=[ZstdCodec(), GzipCodec()])
    with pytest.raises(InputError, match="twice"):
        io.read(tmp_path / "a.zarr")
    zarr.create_array(tmp_path / "b.zarr", shape=(2**11, 2**11), chunks=(1, 1), shards=(2**11, 2**11), dtype="u1")
    with pytest.raises(InputError, match="too many chunks"):
        io.read(tmp_path / "b.zarr")
    written(tmp_path / "c.zarr", compressors=ZstdCodec())
    chunk = tmp_path / "c.zarr" / "c" / "3" / "3"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(InputError, match="no file"):
        everything(tmp_path / "c.zarr")
