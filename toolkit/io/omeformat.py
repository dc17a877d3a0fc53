"""The two versions of OME-Zarr that are written: 0.5, in Zarr 3, and 0.4, in Zarr 2, for older programs."""
# ruff: noqa: TID253
# Imported only where a Zarr is written.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec

VERSIONS = ("0.5", "0.4")


@dataclass(frozen=True)
class OmeFormat:
    """How groups, arrays and metadata of a version are written."""

    version: str = "0.5"

    def root(self, path: Path | Store) -> Any:
        """A new root group."""
        return zarr.create_group(path, zarr_format=3 if self.version == "0.5" else 2)

    def say(self, group: Any, about: dict[str, Any]) -> None:
        """Write OME metadata: `multiscales`, `image-label`, `labels` or `omero`."""
        if self.version == "0.5":
            group.attrs["ome"] = {"version": self.version, **about}
            return
        said = dict(about)
        if "multiscales" in said:
            said["multiscales"] = [{"version": self.version, **scale} for scale in said["multiscales"]]
        for key in ("image-label", "omero"):
            if key in said:
                said[key] = {"version": self.version, **said[key]}
        group.attrs.update(said)

    def array(
        self, group: Any, name: str, shape: Sequence[int], dtype: Any, chunks: Sequence[int], axes: Sequence[str] = (),
        shard: Sequence[int] = (),
    ) -> Any:  # fmt: skip
        """A new array, compressed, each chunk with a checksum; `axes` are written where the version has names. Where it
        has shards, `shard` voxels, whole chunks, are one file."""
        new = self.version == "0.5"
        more: dict[str, Any] = {"dimension_names": list(axes)} if axes and new else {}
        if new and shard:
            more["shards"] = tuple(shard)
        if not new:
            more["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        codec: Any = ZstdCodec(level=3, checksum=True) if new else numcodecs.Zstd(level=3, checksum=True)
        # By its name: C has two types of as many bits, of which zarr knows one.
        kind = np.dtype(np.dtype(dtype).str)
        return group.create_array(
            name, shape=tuple(shape), dtype=kind, chunks=tuple(chunks), compressors=[codec],
            config={"write_empty_chunks": True}, **more,
        )  # fmt: skip


def multiscales(
    name: str,
    axes: str,
    steps: Sequence[tuple[int, ...]],
    voxel_size: tuple[float, ...] | None,
    kind: str,
    prefix: str = "",
) -> dict[str, Any]:
    """What OME-Zarr says of levels at `prefix`0, `prefix`1 …: `steps` are voxels along each of `axes`, `voxel_size` is
    in µm per axis of space, None if unknown; `kind` is how they were made."""
    unit = {} if voxel_size is None else {"unit": "micrometer"}
    kinds: dict[str, dict[str, str]] = {"t": {"type": "time"}, "c": {"type": "channel"}}
    about = [{"name": c, **kinds.get(c, {"type": "space", **unit})} for c in axes.lower()]
    spatial = sum(c in "zyx" for c in axes.lower())
    size = (1.0,) * (len(axes) - spatial) + (voxel_size or (1.0,) * spatial)
    return {
        "name": name,
        "type": kind,
        "axes": about,
        "datasets": [
            {
                "path": f"{prefix}{level}",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [v * s for v, s in zip(size, step, strict=True)]}
                ],
            }
            for level, step in enumerate(steps)
        ],
    }
