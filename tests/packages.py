"""Model packages made on the spot: good ones of every kind, to be bent into bad ones."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, gain=2.0):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 1)
        self.gain = gain

    def forward(self, x):
        return self.conv(x)
"""
WEIGHT, BIAS = 2.0, -0.5


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def pt(state: Any) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def state_dict() -> dict[str, Any]:
    import torch

    return {"conv.weight": torch.full((1, 1, 1, 1), WEIGHT), "conv.bias": torch.full((1,), BIAS)}


def onnx_graph(**change: Any) -> bytes:
    """A 1×1 convolution of any image; `change` replaces arguments of `make_model` or adds nodes."""
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((1, 1, 1, 1), WEIGHT, np.float32), "weight")
    bias = numpy_helper.from_array(np.full(1, BIAS, np.float32), "bias")
    for tensor in (weight, bias):
        if change.get("external"):
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in change["external"].items():
                entry = tensor.external_data.add()
                entry.key, entry.value = key, str(value)
    shape = change.get("shape", ["b", 1, "y", "x"])
    graph = helper.make_graph(
        change.get("nodes") or [helper.make_node("Conv", ["in", "weight", "bias"], ["out"])],
        "net",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [weight, bias],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in change.get("opsets", {"": 18}).items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def torchscript(source: type | None = None) -> bytes:
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x)

    module = (source or Net)()
    if source is None:
        module.load_state_dict(state_dict())
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather nobody made new ones
        torch.jit.save(torch.jit.script(module), stream)
    return stream.getvalue()


def tensors() -> dict[str, bytes]:
    """Test input and output of the 1×1 convolution, normalised before and sigmoid after."""
    x = np.random.default_rng(0).normal(100, 20, (1, 1, 64, 64)).astype(np.float32)
    scaled = (x - x.mean()) / (x.std() + 1e-6)
    return {"in.npy": npy(x), "out.npy": npy(1 / (1 + np.exp(-(WEIGHT * scaled + BIAS))))}


def weights(kind: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files of one kind of weights, and the entry that describes them."""
    if kind == "onnx":
        return {"net.onnx": onnx_graph()}, {"source": "net.onnx", "opset_version": 18}
    if kind == "torchscript":
        return {"net.ts": torchscript()}, {"source": "net.ts", "pytorch_version": "2.8"}
    if kind == "pytorch_state_dict":
        about = {"source": "net.py", "callable": "Net", "kwargs": {"gain": 3.0}, "sha256": sha256(NET.encode())}
        files = {"net.pt": pt(state_dict()), "net.py": NET.encode()}
        return files, {"source": "net.pt", "pytorch_version": "2.8", "architecture": about}
    raise ValueError(kind)


def described(files: Mapping[str, bytes], entries: Mapping[str, Any], **change: Any) -> dict[str, Any]:
    """A description of format 0.5 for one image in and one probability out."""
    space = [{"type": "space", "id": a, "size": {"min": 16, "step": 16}} for a in "yx"]
    like = [{"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}} for a in "yx"]
    raw = {
        "id": "raw",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["dna"]}, *space],
        "preprocessing": [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}],
        "test_tensor": {"source": "in.npy", "sha256": sha256(files["in.npy"])},
    }
    out = {
        "id": "probability",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["nuclei"]}, *like],
        "postprocessing": [{"id": "sigmoid"}],
        "test_tensor": {"source": "out.npy", "sha256": sha256(files["out.npy"])},
    }
    hashed = {
        k: {**e, "sha256": sha256(files[e["source"]])} if e.get("source") in files else e for k, e in entries.items()
    }
    plain = {"format_version": "0.5.7", "type": "model", "name": "Tiny Net", "version": "1.2", "license": "MIT",
             "description": "a test", "inputs": [raw], "outputs": [out], "weights": hashed}  # fmt: skip
    return {**plain, **change}


def good(kind: str = "onnx", **change: Any) -> dict[str, bytes]:
    """The files of a good package."""
    own, entry = weights(kind)
    files = {**tensors(), **own}
    return {**files, "rdf.yaml": json.dumps(described(files, {kind: entry}, **change)).encode()}


def altered(files: Mapping[str, bytes], change: Any) -> dict[str, bytes]:
    """The same files with a description that `change(plain)` has edited in place."""
    plain = json.loads(files["rdf.yaml"])
    change(plain)
    return {**files, "rdf.yaml": json.dumps(plain).encode()}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
