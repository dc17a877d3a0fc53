"""What the record of a run that is to be repeated says of how it was run; somebody else may have written it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from toolkit.io.units import LEAST, MOST


class Told(BaseModel):
    """Options of a run, as `seg run` would take them; those of a machine are left out."""

    model_config = ConfigDict(strict=True, frozen=True)

    axes: str | None = None
    voxel_size: Annotated[list[Annotated[float, Field(ge=LEAST, le=MOST)]], Field(max_length=3)] | None = None
    block: PositiveInt | None = None
    preview: bool = True
    features: list[Literal["shape", "intensity"]] = []
    parquet: bool = False
    min_score: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    diameter: str = "off"
    roi: str | None = None
    mask: str | None = None
    show: list[str] = []
    also: list[str] = []
    ome_zarr: Literal["0.4", "0.5"] = "0.5"
    skip: list[str] = []
