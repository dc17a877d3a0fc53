"""CPU seconds of one window by everything that could run the network of a shipped model, in one run, one thread.

    python benchmarks/engines.py [MODEL…] [--sides 256,448] [--rounds 5]

`module`: the torch module as it is. `lean`: as the engine `torch` runs it. `graph`: the exported graph in onnxruntime.
`compile`: torch.compile of the module. `openvino`: the same graph there, if it is installed. The least of some rounds,
and the largest difference of a head, before its activation, from `module`. All heads are evaluated everywhere.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.gpu.memory import keep_freed
from toolkit.pipeline.modules import lean
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.bioimageio.architecture import Listed
from toolkit.registry.bioimageio.to_onnx import to_onnx

Maps = list[np.ndarray[Any, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["embedseg", "ppp"])
    parser.add_argument("--sides", default="256,448")
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()
    print("| network | side | what | ms | µs per pixel | largest difference |\n|---|---|---|---|---|---|")
    for name in said.models:
        model = resolve.load(name, Catalogue(), name)
        channels, stride = model.recipe.input.count or 1, model.recipe.network.stride(2)
        module = Listed(model.build(), model.heads)
        ways = runners(module, Listed(lean(model.build()), model.heads), channels, stride)
        for side in map(int, said.sides.split(",")):
            voxels = np.random.default_rng(0).random((1, channels, side, side), np.float32)
            wanted = ways["module"](voxels)
            for what, run in ways.items():
                differs = max(float(np.abs(a - b).max()) for a, b in zip(run(voxels), wanted, strict=True))
                spent = min(timed(run, voxels) for _ in range(said.rounds))
                print(f"| {name} | {side} | {what} | {1e3 * spent:.0f} | {1e6 * spent / side**2:.2f} | {differs:.1e} |",
                      flush=True)  # fmt: skip


def runners(
    module: torch.nn.Module, small: torch.nn.Module, channels: int, stride: tuple[int, ...]
) -> dict[str, Callable[[Any], Maps]]:
    """What gives the heads of a window."""
    ways = {"module": by_torch(module), "lean": by_torch(small), "compile": by_torch(torch.compile(module))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        sides = [(1, channels, *(n * s for s in stride)) for n in (4, 5)]
        if to_onnx(module, *(torch.rand(side) for side in sides), stride, path) is None:  # type: ignore[arg-type]
            return ways
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        ways["graph"] = lambda voxels: session.run(None, {"input": voxels})
        if find_spec("openvino") is not None:
            import openvino

            how = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
            request = openvino.Core().compile_model(str(path), "CPU", how).create_infer_request()
            ways["openvino"] = lambda voxels: list(request.infer({0: voxels}).values())
    return ways


def by_torch(module: Any) -> Callable[[Any], Maps]:
    def run(voxels: Any) -> Maps:
        with torch.inference_mode():
            return [maps.numpy() for maps in module(torch.from_numpy(voxels))]

    return run


def timed(run: Callable[[Any], Maps], voxels: Any) -> float:
    """CPU seconds of this process."""
    before = time.process_time()
    run(voxels)
    return time.process_time() - before


if __name__ == "__main__":
    main()
