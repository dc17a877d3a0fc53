# ruff: noqa: TID253
# Torch at module level: only an export imports this file.
"""A network as an ONNX graph, if it can be one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.registry.bioimageio.architecture import Listed
from toolkit.registry.gate import graph

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
MOST = 4096
"""Largest batch and largest multiple of the stride that the graph promises to take."""


def to_onnx(
    network: Listed, example: torch.Tensor, other: torch.Tensor, stride: Sequence[int], path: Path
) -> int | None:
    """Write the graph and return the version of its operators; None, and no file, if the network does not export.

    `example` and `other` are inputs `(1, C, *S)` of different sizes, multiples of `stride`, or twice the same if only
    one size fits. The graph must give what the network gives on both.
    """
    names = [head.name for head in network.heads]
    dims: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=MOST)}
    if other.shape != example.shape:
        # Without the stride the exporter could not tell that what is halved and doubled again is whole again.
        dims |= {2 + d: n * torch.export.Dim(f"axis{d}", min=1, max=MOST) for d, n in enumerate(stride)}
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            program = torch.onnx.export(
                network,
                (torch.cat([example, example]),),  # a batch of one would be taken for a constant
                input_names=["input"],
                output_names=names,
                dynamic_shapes=(dims,),
                dynamo=True,
                verbose=False,
                external_data=False,
            )
            if program is None:
                raise RuntimeError("the exporter gave nothing")
            program.save(path, external_data=False)
            made = graph.load(path.read_bytes(), _nothing, str(path), ["CPUExecutionProvider"])
            same = all(_same(network, made, x) for x in (example, other))
    # The exporter raises whatever its passes raise; a network that does not export is exported without ONNX.
    except Exception as error:
        log.warning("the network does not export to ONNX: %s", " ".join(str(error).split())[:200])
        same = False
    if not same:
        path.unlink(missing_ok=True)
        return None
    import onnx

    opsets = {o.domain: int(o.version) for o in onnx.load(path, load_external_data=False).opset_import}
    return opsets.get("", 18)


def _same(network: Listed, made: graph.Graph, x: torch.Tensor) -> bool:
    pairs: Sequence[tuple[np.ndarray, torch.Tensor]] = list(zip(made([x.numpy()]), network(x), strict=True))
    return all(
        a.shape == tuple(b.shape) and float(np.abs(a - b.numpy()).max()) < TOLERANCE * max(1.0, float(b.abs().max()))
        for a, b in pairs
    )


def _nothing(name: str) -> bytes:
    raise FileNotFoundError(name)
