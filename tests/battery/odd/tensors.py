"""Packages with odd architectures, state dicts and test arrays: name → zip."""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tests import packages
from tests.battery.bent import edited, nothing, state_dict_of, unet, unet_kwargs

NETS = "monai.networks.nets"


def _network(module: Any, name: Any, kwargs: Any, data: bytes | None = None) -> bytes:
    """A state dict and the call of a library that makes its network."""
    about = {"import_from": module, "callable": name, "kwargs": kwargs}
    files = {} if data is None else {"net__pt": data}
    return edited("pytorch_state_dict", lambda plain: state_dict_of(plain).update(architecture=about), **files)


def _altered(change: dict[str, Any], plain: dict[str, Any]) -> None:
    state_dict_of(plain)["architecture"].update(change)


def architectures(marker: str) -> dict[str, bytes]:
    calls = {
        "a method of a network": (NETS, "UNet.__init__", {}),
        "a module of a library": (f"{NETS}.unet", "UNet", unet_kwargs()),
        "a bundle": ("monai.bundle", "load", {"name": "x"}),
        "a hub": ("torch.hub", "load", {"repo_or_dir": "x", "model": "y"}),
        "a reader of pickles": ("torch", "load", {"f": "/etc/passwd", "weights_only": False}),
        "a reader of TorchScript": ("torch.jit", "load", {"f": "/etc/passwd"}),
        "ours": ("toolkit.registry.bioimageio.architecture", "network", {"recipe": {}}),
        "a name with a space": (f"{NETS} ", "UNet", unet_kwargs()),
        "a name with another E": (NETS, "UN\u0435t", unet_kwargs()),
        "a list": (["os"], "system", {}),
        "an image of 160 000 voxels": (NETS, "UNETR", {"in_channels": 1, "out_channels": 1, "spatial_dims": 2,
                                                       "img_size": [160000, 160000]}),
        "twenty levels": (NETS, "DynUNet", {
            "spatial_dims": 2, "in_channels": 1, "out_channels": 1, "kernel_size": [3] * 20, "filters": [4000] * 20,
            "strides": [1] + [2] * 19, "upsample_kernel_size": [2] * 19}),
    }  # fmt: skip
    made = {f"network from {name}": _network(*call) for name, call in calls.items()}
    odd: dict[str, Any] = {
        "channels": [10**6] * 2, "channels ": [12000] * 2, "channels  ": [3000] * 6, "num_res_units": 10**8,
        "num_res_units ": 300_000, "kernel_size": 9999, "act": "os.system", "act ": ["RELU", {"inplace": "x"}],
        "norm": ["INSTANCE_NVFUSER", {}], "spatial_dims": 10**9, "channels   ": ["a", "b"],
        "pretrained": "http://127.0.0.1:9/x", "channels    ": float("nan"), "strides": [-1], "kernel_size ": 2**70,
    }  # fmt: skip
    for name, value in odd.items():
        kwargs = unet_kwargs() | {name.strip(): value}
        if name == "channels  ":
            kwargs["strides"] = [2] * 5
        made[f"network with {name.strip()} {value}"] = _network(NETS, "UNet", kwargs, packages.pt(unet().state_dict()))
    odd = {"arguments that are a list": {"kwargs": [1]}, "a callable of all classes": {"callable": "__class__"}}
    for name, change in odd.items():
        made[f"network with {name}"] = edited("pytorch_state_dict", partial(_altered, change))
    return made


def states() -> dict[str, bytes]:
    return {f"state dict: {name}": _network(NETS, "UNet", unet_kwargs(), data) for name, data in _states()}


def _states() -> Iterator[tuple[str, bytes]]:
    import torch

    fits = unet().state_dict()
    first = next(iter(fits))
    weight = fits[first]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch would rather nobody made them
        quantised, nested = torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), torch.nested.nested_tensor([weight])
    odd = {
        "quantised": quantised,
        "of no device": torch.empty(weight.shape, device="meta"),
        "complex": weight.to(torch.complex64),
        "one number shown 2^40 times": torch.zeros(1).expand(2**40),
        "of eight bits": weight.to(torch.float8_e4m3fn),
        "of NaN": torch.full_like(weight, float("nan")),
        "nested": nested,
    }
    for name, tensor in odd.items():
        yield name, packages.pt({**fits, first: tensor})
    for name, whole in {
        "two levels": {"state_dict": {"state_dict": fits}}, "a list": [fits], "a tensor": torch.zeros(3),
        "a number for a name": {1: torch.zeros(1)}, "of sixteen bits": {k: v.half() for k, v in fits.items()},
    }.items():  # fmt: skip
        yield name, packages.pt(whole)
    yield "a renamed pickle", packages.pt(fits).replace(b"data.pkl", b"data.pkx")

    def safe(header: Any, body: bytes = b"1234") -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + body

    def entry(kind: str, shape: list[int], *ends: int) -> dict[str, Any]:
        return {"dtype": kind, "shape": shape, "data_offsets": ends or (0, 4)}

    yield "safetensors beyond themselves", safe({"a": entry("F32", [2**40])})
    yield "safetensors that overlap", safe({"a": entry("F32", [1]), "b": entry("F32", [1])})
    yield "safetensors of another type", safe({"a": entry("F64", [1])})
    yield "safetensors of a negative size", safe({"a": entry("F32", [-1])})
    yield "safetensors that end before they begin", safe({"a": entry("F32", [1], 4, 0)})
    yield "safetensors with a deep header", safe(b"{" * 10**6)
    yield "safetensors about numbers", safe(b'{"__metadata__":{"a":5}}', b"")
    yield "no safetensors", safe({}, b"")
    yield "200 000 safetensors", safe({f"t{i}": entry("F32", [0], 0, 0) for i in range(200_000)}, b"")


def arrays(marker: str) -> dict[str, bytes]:
    """Test tensors of every type that NumPy has, and files that only look like arrays."""
    x = np.load(io.BytesIO(packages.good()["in.npy"]))
    made = {
        "of 16 bits": x.astype("f2"), "of 128 bits": x.astype("g"), "of unsigned numbers": x.astype("u2"),
        "of long unsigned numbers": x.astype("u8"), "of truth": x > 0, "of the other end": x.astype(">f4"),
        "of nothing": x[:0], "of no voxels": np.zeros((1, 1, 0, 0), "f4"), "of one number": np.array(1, "f4"),
        "of 60 axes": np.zeros((1,) * 60, "f4"), "of NaN": np.full_like(x, np.nan), "of complex numbers": x + 1j,
        "of 3000 images": np.zeros((3000, 1, 16, 16), "f4"), "of text": np.full((1, 1, 4, 4), "a"),
    }  # fmt: skip
    cases = {}
    for name, array in made.items():
        cases[f"test input {name}"] = edited("onnx", nothing, in__npy=packages.npy(array))
        cases[f"test output {name}"] = edited("onnx", nothing, out__npy=packages.npy(array))

    def raw(kind: str, shape: str, body: bytes = b"") -> bytes:
        text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body

    data = x.tobytes()
    files = {
        "of a pickle": raw("'|O'", "(1,)", pickle.dumps(1)),
        "of arrays": raw("('<f4',(64,64))", "(1,1)", data),
        "that calls something": raw(f"__import__('os').system('touch {marker}')", "(1,)"),
        "of true sizes": raw("'<f4'", "(True,True,64,64)", data),
        "of 2^62 and none": raw("'<f4'", f"({2**62},0)"),
        "of version 3": b"\x93NUMPY\x03\x00" + struct.pack("<I", 100) + b" " * 100,
        "with a header of 4 GB": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{" * 5000,
        "with a deep header": raw("(" * 9000, "(1,)"),
        "of times": raw("'<m8[s]'", "(1,1,64,32)", data),
        "of a size that is text": raw("'<f4'", "('a',)"),
    }
    return cases | {f"test input {name}": edited("onnx", nothing, in__npy=file) for name, file in files.items()}
