"""PNG files."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import InputError
from toolkit.io.raster import Raster, decoding, plausible

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def open_png(path: Path) -> Raster:
    """Grey or RGB, 8 or 16 bit; an opacity channel is marked as `alpha`."""
    with decoding(path):
        import imagecodecs

        data = path.read_bytes()
        header = data[:33]
        if len(header) < 33 or header[12:16] != b"IHDR":
            raise InputError("this PNG is damaged", path, "it has no header; check the file")
        width, height = (int.from_bytes(header[i : i + 4], "big") for i in (16, 20))
        declared = width * height * max(1, header[24] // 8)
        plausible(path, declared, len(data), ratio=1100)
        with decoding(path, declared):
            voxels = imagecodecs.png_decode(data)
    samples = voxels.shape[2] if voxels.ndim == 3 else 0
    return Raster(path, voxels, "YXS" if samples else "YX", alpha=samples in (2, 4))
