"""Packages that are damaged, or made to do damage: name → zip and the exit code that is right."""

from __future__ import annotations

import io
import json
import stat
import struct
import warnings
import zipfile
from typing import Any

import numpy as np

from tests import packages
from tests.battery.bent import BAD, Case, edited, nothing, state_dict_of, unet, unet_kwargs, zipped


def archives(marker: str) -> dict[str, Case]:
    good = packages.good()

    def named(name: str, data: bytes = b"x") -> bytes:
        return zipped({**good, name: data})

    def special(mode: int, flags: int = 0) -> bytes:
        stream = io.BytesIO(zipped(good))
        entry = zipfile.ZipInfo("extra")
        entry.external_attr, entry.flag_bits = mode << 16, flags
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr(entry, marker)
        return stream.getvalue()

    stream = io.BytesIO(zipped(good))
    with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("rdf.yaml", "{}")
    encrypted = bytearray(zipped(good))
    for at in (i for i in range(len(encrypted) - 4) if encrypted[i : i + 4] == b"PK\x01\x02"):
        encrypted[at + 8] |= 1
    lzma = io.BytesIO()
    with zipfile.ZipFile(lzma, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in good.items():
            archive.writestr(name, data)
    return {
        "zip with ..": (named(f"../../../../../../../..{marker}"), BAD),
        "zip with an absolute name": (named(marker), BAD),
        "zip with a backslash": (named("..\\x"), BAD),
        "zip bomb": (named("bomb", b"\0" * 2**25), BAD),
        "zip with one name twice": (stream.getvalue(), BAD),
        "zip with names that differ by case": (named("RDF.yaml"), BAD),
        "zip with a link": (special(stat.S_IFLNK | 0o777), BAD),
        "zip with a pipe": (special(stat.S_IFIFO | 0o666), BAD),
        "encrypted zip": (bytes(encrypted), BAD),
        "zip with LZMA": (lzma.getvalue(), BAD),
    }


def graphs(marker: str) -> dict[str, Case]:
    from onnx import helper

    def external(location: str, **more: Any) -> Case:
        return edited("onnx", nothing, net__onnx=packages.onnx_graph(external={"location": location, **more})), BAD

    def made(**change: Any) -> Case:
        return edited("onnx", nothing, net__onnx=packages.onnx_graph(**change)), BAD

    lacking = helper.make_node("Conv", ["in", "weight", "missing"], ["out"])
    huge = helper.make_node("ConstantOfShape", ["weight"], ["out"])
    return {
        "ONNX data with ..": external("../../../../../../etc/passwd"),
        "ONNX data with an absolute path": external("/etc/passwd"),
        "ONNX data in the memory of this process": external("*/_ORT_MEM_ADDR_/*", offset=4096, length=4),
        "ONNX data beyond the end of a file": external("in.npy", offset=2**40, length=4),
        "ONNX data at an address": external("http://127.0.0.1:9/x"),
        "ONNX with operators of its own": made(opsets={"": 18, "evil": 1}),
        "ONNX with an input that is not there": made(nodes=[lacking]),
        "ONNX of the wrong types": made(nodes=[huge]),
    }  # fmt: skip


def damaged(_: str) -> dict[str, Case]:
    import torch

    good = packages.good()
    graph, array = good["net.onnx"], good["in.npy"]
    monai = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": unet_kwargs()}

    def state(data: bytes) -> bytes:
        return edited("pytorch_state_dict", lambda p: state_dict_of(p).update(architecture=monai), net__pt=data)

    fits = unet().state_dict()
    lacking = dict(list(fits.items())[1:])
    shaped = {**fits, next(iter(fits)): torch.zeros(3)}
    header = struct.pack("<Q", 2**60) + b"{}"
    return {
        "flipped byte in the weights": (zipped({**good, "net.onnx": graph[:-9] + b"\0" + graph[-8:]}), BAD),
        "graph cut in the middle": (edited("onnx", nothing, net__onnx=graph[: len(graph) // 2]), BAD),
        "empty graph": (edited("onnx", nothing, net__onnx=b""), BAD),
        "test input cut in the middle": (edited("onnx", nothing, in__npy=array[:1000]), BAD),
        "test input that claims to be huge": (
            edited("onnx", nothing, in__npy=array.replace(b"(1, 1, 64, 64)", b"(1, 1, 9**9, 9)")), BAD),
        "test input of Python objects": (edited("onnx", nothing, in__npy=_objects()), BAD),
        "state dict that lacks a tensor": (state(packages.pt(lacking)), BAD),
        "state dict with a tensor of another shape": (state(packages.pt(shaped)), BAD),
        "safetensors with a header beyond the file": (state(header), BAD),
        "state dict cut in the middle": (state(packages.pt(fits)[:3000]), BAD),
    }  # fmt: skip


def _objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def descriptions(marker: str) -> dict[str, Case]:
    good = packages.good()
    plain = good["rdf.yaml"].decode()

    def text(data: str | bytes) -> Case:
        return zipped({**good, "rdf.yaml": data if isinstance(data, bytes) else data.encode()}), BAD

    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
    )
    return {
        "YAML bomb": text(bomb),
        "YAML that calls os.system": text(f"x: !!python/object/apply:os.system ['touch {marker}']"),
        "YAML of 2 MB": text("a: " + "x" * 2**21),
        "YAML of a million brackets": text("[" * 10**6),
        "YAML that is a list": text("- 1"),
        "YAML with a key twice": text("name: x\n" + "name: y\n"),
        "no description": (zipped({k: v for k, v in good.items() if k != "rdf.yaml"}), BAD),
        "random bytes for a description": text(np.random.default_rng(0).bytes(4000)),
        "description without tensors": text('{"format_version": "0.5.7", "type": "model", "name": "x"}'),
        "weights at an address": text(plain.replace('"source": "net.onnx"', '"source": "http://127.0.0.1:9/net.onnx"')),
    }


def mutated(data: bytes, seed: int) -> bytes:
    """A package with a few bytes changed, a piece cut out, or a piece twice."""
    rng = np.random.default_rng(seed)
    made = bytearray(data)
    match int(rng.integers(4)):
        case 0:
            del made[int(rng.integers(len(made))) :]
        case 1:
            start = int(rng.integers(len(made)))
            made[start:start] = made[start : start + int(rng.integers(1, 200))]
        case _:
            for at in rng.integers(0, len(made), int(rng.integers(1, 9))):
                made[int(at)] = int(rng.integers(256))
    return bytes(made)


def inside(data: bytes, seed: int) -> bytes:
    """A package one file of which is mutated and whose description knows the sha256 of that: the parsers see it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    names = sorted(name for name in files if name != "out.npy")
    name = names[seed % len(names)]
    files[name] = mutated(files[name], seed)
    if name != "rdf.yaml":
        plain = json.loads(files["rdf.yaml"])
        parts = [*plain["weights"].values(), *(t["test_tensor"] for t in (*plain["inputs"], *plain["outputs"]))]
        for part in parts:
            part["sha256"] = packages.sha256(files[part["source"]])
        files["rdf.yaml"] = json.dumps(plain).encode()
    return zipped(files)
