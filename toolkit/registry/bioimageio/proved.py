"""A graph of our own package is used only if it gives the package's test output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.plugins.recipe import Recipe
from toolkit.registry.bioimageio.description import Description, Tensor
from toolkit.registry.gate import tensors
from toolkit.registry.gate.archive import Files
from toolkit.registry.gate.graph import Graph
from toolkit.steps import normalise
from toolkit.values.image import Image
from toolkit.values.prediction import Head

TOLERANCE = 1e-4
"""Largest difference from a test output that passes, relative to the larger of 1 and the output's magnitude."""
CURE = "get the model again from its author, or say --engine torch"


def proved(graph: Graph, about: Description, files: Files, dtype: str, recipe: Recipe) -> None:
    """Raise `ModelError` unless `graph` gives the test output of its package for the test input, of type `dtype`."""
    seen = _array(about.inputs[0], files)[0].astype(dtype)
    scale = normalise.fit(Image(seen, "CYX" if seen.ndim == 3 else "CZYX"), recipe.normalise)
    said = graph([scale(seen)[None]])
    if len(said) != len(recipe.heads) or len(said) != len(about.outputs):
        raise ModelError("the graph has not the heads of the recipe", graph.where, CURE)
    for head, tensor, found in zip(recipe.heads, about.outputs, said, strict=True):
        wanted = _array(tensor, files)
        if found.shape != wanted.shape or not _near(_activated(found, head), wanted):
            raise ModelError("the graph gives something else than its own test output", f"{graph.where}: {head.name}",
                             CURE)  # fmt: skip


def _array(tensor: Tensor, files: Files) -> NDArray[Any]:
    if tensor.test is None:
        raise ModelError("a tensor of the package has no test file", f"{files.where}: {tensor.id}", CURE)
    return tensors.array(files.read(tensor.test.name, tensor.test.sha256), f"{files.where}: {tensor.test.name}")


def _activated(raw: NDArray[np.float32], head: Head) -> NDArray[np.float64]:
    grown: NDArray[np.float64] = raw.astype(np.float64)
    if head.activation == "sigmoid":
        grown = 1 / (1 + np.exp(-np.clip(grown, -500, 500)))
    if head.activation == "softmax":
        grown = np.exp(grown - grown.max(1, keepdims=True))
        grown /= grown.sum(1, keepdims=True)
    return grown


def _near(found: NDArray[np.float64], wanted: NDArray[Any]) -> bool:
    most = float(np.abs(wanted).max(initial=0))
    return bool(np.abs(found - wanted).max(initial=0) <= TOLERANCE * max(1.0, most))
