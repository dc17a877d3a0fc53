"""How to run: what the command line and Python say alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = ("axes", "voxel_size", "workers", "block", "preview", "features", "parquet", "min_score", "diameter", "roi",
        "mask", "show", "also", "ome_zarr", "skip")  # fmt: skip
"""Options that the record of a run keeps, so that it can be repeated."""
DECIDING = {"axes": "--axes", "voxel_size": "--voxel-size", "strict": "--strict", "features": "--features",
            "parquet": "--parquet", "min_score": "--min-score", "diameter": "--diameter", "roi": "--roi",
            "mask": "--mask", "show": "--show", "also": "--also", "ome_zarr": "--ome-zarr"}  # fmt: skip
"""Options that decide what is written, as the user calls them."""


@dataclass(frozen=True)
class Options:
    """How to run. `block`: voxels per axis of a block, or None for what suits the method; `workers`: processes;
    `scheduler`: address of a dask cluster that works instead of them."""

    out: Path
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    workers: int = 1
    block: int | None = None
    preview: bool = True
    resume: bool = False
    overwrite: bool = False
    strict: bool = False
    features: tuple[str, ...] = ()
    parquet: bool = False
    min_score: float = 0.0
    diameter: str = "off"
    """What `steps.sizes.Diameter.parse` takes."""
    roi: str | None = None
    """What `steps.within.spans` takes."""
    mask: str | None = None
    """A label image."""
    scheduler: str | None = None
    show: tuple[str, ...] = ()
    """What of the method's thoughts is stored."""
    also: tuple[str, ...] = ()
    """Files for other programs, of `exchange.also.ENDINGS`."""
    ome_zarr: str = "0.5"
    """Version of OME-Zarr."""
    skip: tuple[str, ...] = ()
    """Boxes of the one image in which nothing is looked for, as `steps.within.spans` takes them."""
    work: Path | None = None
    """A folder of another disk, where parts of unfinished images are kept."""

    @property
    def parted(self) -> bool:
        """Whether objects of a part of the image are wanted."""
        return self.roi is not None or self.mask is not None

    def kept(self) -> dict[str, Any]:
        """What a record says of them."""
        return {name: getattr(self, name) for name in KEPT}

    def deciding(self, exact: bool) -> dict[str, Any]:
        """All that decides what is written; blocks do not where the method is `exact` over them."""
        named = {called: getattr(self, name) for name, called in DECIDING.items()}
        block = None if exact else self.block
        return {
            **named,
            "--features": list(self.features),
            "--show": list(self.show),
            "--also": list(self.also),
            "--block": block,
            "--no-preview": not self.preview,
        }
