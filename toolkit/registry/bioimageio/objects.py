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
from pydantic import ValidationError

from toolkit.errors import ModelError
from toolkit.plugins.refusal import place, sentence

NEEDS = {"stardist_postprocessing": "stardist", "cellpose_flow_dynamics": "cellpose"}
"""The package that has what an operation is made of."""
OUTPUT = MemberId("output")
CELLPOSE = ((rdf.CellposeFlowDynamicsDescr, rdf.CellposeFlowDynamicsKwargs), CellposeFlowDynamics)
STARDIST = rdf.StardistPostprocessingDescr
OPERATIONS: Mapping[tuple[str, bool], Any] = {
    ("cellpose_flow_dynamics", True): CELLPOSE,
    ("cellpose_flow_dynamics", False): CELLPOSE,
    ("stardist_postprocessing", True): ((STARDIST, rdf.StardistPostprocessingKwargs2D), StardistPostprocessing2D),
    ("stardist_postprocessing", False): ((STARDIST, rdf.StardistPostprocessingKwargs3D), StardistPostprocessing3D),
}
"""How an operation and its keywords are described and what carries it out, by its name and whether it is 2-D."""


def labels(name: str, x: NDArray[np.float32], axes: tuple[str, ...], kwargs: Mapping[str, Any]) -> NDArray[np.float32]:
    """Labels of an output `x` with these axes, the channel axis of size 1. Raises `ModelError` that names the package
    to install if it is missing."""
    if find_spec(NEEDS[name]) is None:
        raise ModelError(f"the operation {name} needs a package that is not installed", NEEDS[name],
                         f"pip install {NEEDS[name]}")  # fmt: skip
    operation = _operation(name, kwargs, "z" not in axes)
    sample = Sample(members={OUTPUT: Tensor(x, dims=tuple(map(AxisId, axes)))}, stat={}, id="window")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what those packages say of their own calls is nothing that a user can mend
        operation(sample)
    found = sample.members[OUTPUT].transpose(tuple(map(AxisId, axes)))
    return np.asarray(found.to_numpy(), np.float32)


def _operation(name: str, kwargs: Mapping[str, Any], flat: bool) -> Any:
    descriptions, operation = OPERATIONS[name, flat]
    about, words = descriptions
    try:
        return operation.from_proc_descr(about(kwargs=words.model_validate(dict(kwargs))), OUTPUT)
    except ValidationError as error:
        fault = f"{'.'.join(place(error.errors()[0]['loc']))}: {sentence(error.errors())}"
        raise ModelError("the operation is not described as the format wants it", f"{name}: {fault}",
                         "ask the model's author") from error  # fmt: skip
