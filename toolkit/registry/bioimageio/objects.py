# ruff: noqa: TID253
# bioimageio at module level: only a model that asks for these operations imports this file.
"""The operations of the format that make objects, carried out by the format's own library."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from bioimageio.core.axis import AxisId
from bioimageio.core.common import MemberId
from bioimageio.core.proc_ops import (  # type: ignore[attr-defined]
    CellposeFlowDynamics,
    StardistPostprocessing2D,
    StardistPostprocessing3D,
)
from bioimageio.core.sample import Sample
from bioimageio.core.tensor import Tensor
from bioimageio.spec.model import v0_5 as rdf
from numpy.typing import NDArray

from toolkit.errors import ModelError

NEEDS = {"stardist_postprocessing": "stardist", "cellpose_flow_dynamics": "cellpose"}
"""The package that has what an operation is made of."""
OUTPUT = MemberId("output")


def labels(name: str, x: NDArray[np.float32], axes: tuple[str, ...], kwargs: Mapping[str, Any]) -> NDArray[np.float32]:
    """Labels of an output `x` with these axes, the channel axis of size 1. Raises `ModelError` that names the package
    to install if it is missing."""
    if find_spec(NEEDS[name]) is None:
        raise ModelError(f"the operation {name} needs a package that is not installed", NEEDS[name],
                         f"pip install {NEEDS[name]}")  # fmt: skip
    operation = _operation(name, {"id": name, "kwargs": dict(kwargs)})
    sample = Sample(members={OUTPUT: Tensor(x, dims=tuple(map(AxisId, axes)))}, stat={}, id="window")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what those packages say of their own calls is nothing that a user can mend
        operation(sample)
    found = sample.members[OUTPUT].transpose(tuple(map(AxisId, axes)))
    return np.asarray(found.to_numpy(), np.float32)


def _operation(name: str, plain: Mapping[str, Any]) -> Any:
    if name == "cellpose_flow_dynamics":
        return CellposeFlowDynamics.from_proc_descr(rdf.CellposeFlowDynamicsDescr.model_validate(plain), OUTPUT)
    about = rdf.StardistPostprocessingDescr.model_validate(plain)
    flat = isinstance(about.kwargs, rdf.StardistPostprocessingKwargs2D)
    return (StardistPostprocessing2D if flat else StardistPostprocessing3D).from_proc_descr(about, OUTPUT)
