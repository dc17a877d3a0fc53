"""The table as AnnData, with what SpatialData asks of a table of labels."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError

KEPT = ("id", "frame", "class")
"""Columns that say which object a row is; the other numbers are measurements."""


def need_anndata() -> None:
    """Raise `UsageError` with what to install if AnnData cannot be written."""
    if find_spec("anndata") is None:
        raise UsageError("AnnData is not installed", "--also anndata", "pip install 'seg-toolkit[anndata]'")


def write_h5ad(path: Path, table: Mapping[str, NDArray[Any]], region: str) -> None:
    """Objects are observations, measurements are variables; `obsm["spatial"]` are centres of mass (x, y(, z)) in
    voxels. `obs["region"]` is the element of a SpatialData whose labels `obs["instance_id"]` counts."""
    import anndata
    import pandas

    numbers = [n for n, c in table.items() if c.dtype.kind in "biuf" and n not in KEPT]
    ids = np.asarray(table["id"])
    about = {"instance_id": ids, "region": pandas.Categorical([region] * len(ids))}
    about |= {n: np.asarray(c) for n, c in table.items() if n in KEPT[1:] or n not in (*numbers, *KEPT)}
    axes = [f"centroid_{axis}" for axis in "xyz" if f"centroid_{axis}" in table]
    found = anndata.AnnData(
        X=np.stack([np.asarray(table[n], np.float32) for n in numbers], axis=1),
        obs=pandas.DataFrame(about, index=ids.astype(str)),
        var=pandas.DataFrame(index=numbers),
        obsm={"spatial": np.stack([np.asarray(table[n], np.float64) for n in axes], axis=1)},
        uns={"spatialdata_attrs": {"region": region, "region_key": "region", "instance_key": "instance_id"}},
    )
    found.write_h5ad(path)
