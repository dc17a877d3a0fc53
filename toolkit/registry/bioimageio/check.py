"""Does a package still give its own test output?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.registry.bioimageio import weights
from toolkit.registry.bioimageio.read import Opened, Trusted, nobody
from toolkit.registry.gate import tensors

if TYPE_CHECKING:
    from toolkit.registry.bioimageio.description import Tensor

TOLERANCE = 1e-4
"""Largest difference from a test output that passes, relative to the larger of 1 and the output's magnitude."""


@dataclass(frozen=True)
class Reproduced:
    """How far an output is from the test output of the package."""

    output: str
    difference: float
    passed: bool


def reproduce(opened: Opened, trusted: Trusted = nobody) -> list[Reproduced]:
    """Run the model on its test inputs, exactly as its description says, and compare all outputs.

    Raises `ModelError` if it has no test tensors or does not run, `NotTrusted` if it is code that nobody trusts.
    """
    import torch

    from toolkit.registry.bioimageio.module import run

    about = opened.description
    choice = weights.choose(about, opened.files, trusted)
    inputs = [torch.from_numpy(_test(opened, t)) for t in about.inputs if t.test is not None]
    if len(inputs) < sum(not t.optional for t in about.inputs):
        raise ModelError("the package has no test input", opened.files.where, "ask the model's author")
    with torch.inference_mode():
        found = run(about, weights.network(choice, opened.files), inputs)
    return [_compare(t, x.numpy(), _test(opened, t)) for t, x in zip(about.outputs, found, strict=False) if t.test]


def _test(opened: Opened, tensor: Tensor) -> NDArray[Any]:
    if tensor.test is None:
        raise ModelError("a tensor has no test file", f"{opened.files.where}: {tensor.id}", "ask the model's author")
    data = opened.files.read(tensor.test.name, tensor.test.sha256)
    return tensors.array(data, f"{opened.files.where}: {tensor.test.name}")


def _compare(tensor: Tensor, found: NDArray[Any], expected: NDArray[Any]) -> Reproduced:
    if found.shape != expected.shape:
        return Reproduced(tensor.id, float("inf"), False)
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    most = float(difference.max(initial=0))
    allowed = TOLERANCE * max(1.0, float(np.abs(expected.astype(np.float64)).max(initial=0)))
    return Reproduced(tensor.id, most, bool(most <= allowed))
