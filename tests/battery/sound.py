"""Packages that are as they should be: name → zip and exit code 0."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from tests import packages
from tests.battery.bent import Case, edited, nothing, unet, unet_kwargs, zipped


def unet_package(old: bool) -> bytes:
    import torch

    network, x = unet(), torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        y = network(x)
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream, _use_new_zipfile_serialization=not old)
    files = {"in.npy": packages.npy(x.numpy()), "out.npy": packages.npy(y.numpy()), "net.pt": stream.getvalue()}
    about = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": unet_kwargs()}
    plain = packages.described(files, {"pytorch_state_dict": {"source": "net.pt", "architecture": about}})
    del plain["inputs"][0]["preprocessing"], plain["outputs"][0]["postprocessing"]
    return zipped({**files, "rdf.yaml": json.dumps(plain).encode()})


def _format_0_4() -> bytes:
    good = packages.good()
    tensor = {"data_type": "float32", "axes": "bcyx"}
    like = {"reference_tensor": "raw", "scale": [1, 1, 1, 1], "offset": [0, 0, 0, 0]}
    zero = {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "yx"}}
    shape = {"min": [1, 1, 16, 16], "step": [0, 0, 16, 16]}
    plain = {
        "format_version": "0.4.10", "type": "model", "name": "old", "license": "MIT",
        "inputs": [{**tensor, "name": "raw", "shape": shape, "preprocessing": [zero]}],
        "outputs": [{**tensor, "name": "out", "shape": like, "postprocessing": [{"name": "sigmoid"}]}],
        "test_inputs": ["in.npy"], "test_outputs": ["out.npy"],
        "weights": {"onnx": {"source": "net.onnx", "sha256": packages.sha256(good["net.onnx"])}},
    }  # fmt: skip
    return zipped({**good, "rdf.yaml": json.dumps(plain).encode()})


def _channels_last() -> bytes:
    from onnx import helper

    nodes = [
        helper.make_node("Transpose", ["in"], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["chw", "weight", "bias"], ["made"]),
        helper.make_node("Transpose", ["made"], ["out"], perm=[0, 2, 3, 1]),
    ]
    graph = packages.onnx_graph(nodes=nodes, shape=["b", "y", "x", 1])
    good = packages.good()
    moved = {n: packages.npy(np.load(io.BytesIO(good[n])).transpose(0, 2, 3, 1)) for n in ("in.npy", "out.npy")}

    def change(plain: dict[str, Any]) -> None:
        for tensor in (*plain["inputs"], *plain["outputs"]):
            tensor["axes"] = [tensor["axes"][i] for i in (0, 2, 3, 1)]

    return edited("onnx", change, net__onnx=graph, **{n.replace(".", "__"): data for n, data in moved.items()})


def good(_: str) -> dict[str, Case]:
    own = np.array([packages.WEIGHT, packages.BIAS], np.float32).tobytes()
    graph = packages.onnx_graph(external={"location": "data.bin", "offset": 4, "length": 4})
    x = np.load(io.BytesIO(packages.good()["in.npy"])).astype(np.float64)
    scaled = (x - x.mean()) / x.std()
    out = packages.npy((1 / (1 + np.exp(-packages.BIAS * (scaled + 1)))).astype(np.float32))
    return {
        "good ONNX": (zipped(packages.good()), 0),
        "good ONNX with its data beside it": (edited("onnx", nothing, net__onnx=graph, data__bin=own, out__npy=out), 0),
        "good ONNX with channels last": (_channels_last(), 0),
        "good package of format 0.4": (_format_0_4(), 0),
        "good state dict of a known network": (unet_package(old=False), 0),
        "good state dict in the old file format": (unet_package(old=True), 0),
    }
