"""Does a package still give its own test output?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.bioimageio import weights
from toolkit.registry.bioimageio.read import Opened, Trusted, nobody
from toolkit.registry.gate import tensors

if TYPE_CHECKING:
    import torch

    from toolkit.registry.bioimageio.description import Tensor

TOLERANCE = 1e-4
"""Largest difference from a test output that passes, relative to the larger of 1 and the output's magnitude."""


@dataclass(frozen=True)
class Reproduced:
    """How far an output is from the test output of the package, with one of its weights."""

    output: str
    weights: str
    difference: float
    passed: bool


def reproduce(opened: Opened, catalogue: Catalogue, trusted: Trusted = nobody) -> list[Reproduced]:
    """Run the model on its test inputs, exactly as its description says, and compare all outputs.

    Raises `ModelError` if it has no test tensors or does not run, `NotTrusted` if it is code that nobody trusts.
    """
    with opened.guarded():
        return _reproduced(opened, catalogue, trusted)


def _reproduced(opened: Opened, catalogue: Catalogue, trusted: Trusted) -> list[Reproduced]:
    import torch

    from toolkit.registry.bioimageio.module import run

    about = opened.description
    inputs = [torch.from_numpy(test_array(opened, t)) for t in about.inputs if t.test is not None]
    if len(inputs) < sum(not t.optional for t in about.inputs) or not any(t.test for t in about.outputs):
        raise ModelError("the package has no test input or output", opened.files.where, "ask the model's author")
    found = []
    for kind, network in _networks(opened, catalogue, trusted):
        with torch.inference_mode():
            outputs = run(about, network, inputs)
        for tensor, output in zip(about.outputs, outputs, strict=False):
            if tensor.test is not None:
                found.append(_compare(tensor, kind, output.numpy(), test_array(opened, tensor)))
    return found


def _networks(opened: Opened, catalogue: Catalogue, trusted: Trusted) -> Iterator[tuple[str, torch.nn.Module]]:
    """The networks that this package runs with here, and what their weights are."""
    if opened.description.toolkit is not None:
        from toolkit.registry.bioimageio.architecture import Listed

        model = opened.load(catalogue, str(opened.files.where), trusted)
        yield "state dict", Listed(model.build(), model.heads)
        if "onnx" not in opened.description.weights:
            return
    choice = weights.choose(opened.description, opened.files, trusted)
    yield choice.weights.kind, weights.network(choice, opened.files)


def test_array(opened: Opened, tensor: Tensor) -> NDArray[Any]:
    """The test tensor of an input or output, in the model's own axes."""
    if tensor.test is None:
        raise ModelError("a tensor has no test file", f"{opened.files.where}: {tensor.id}", "ask the model's author")
    data = opened.files.read(tensor.test.name, tensor.test.sha256)
    return tensors.array(data, f"{opened.files.where}: {tensor.test.name}")


def _compare(tensor: Tensor, kind: str, found: NDArray[Any], expected: NDArray[Any]) -> Reproduced:
    if found.shape != expected.shape:
        return Reproduced(tensor.id, kind, float("inf"), False)
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    most = float(difference.max(initial=0))
    allowed = TOLERANCE * max(1.0, float(np.abs(expected.astype(np.float64)).max(initial=0)))
    return Reproduced(tensor.id, kind, most, bool(most <= allowed))
