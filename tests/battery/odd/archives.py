"""Odd archives, YAML and descriptions of format 0.4 around a good package: name → zip."""

from __future__ import annotations

import json
import struct
from typing import Any

from tests import packages
from tests.battery.bent import unet_kwargs, zipped


def archives() -> dict[str, bytes]:
    good = packages.good()
    whole = zipped(good)

    def patched(offset: int, value: int) -> bytes:
        """Another number in the first entry of the directory."""
        made = bytearray(whole)
        at = made.find(b"PK\1\2") + offset
        made[at : at + 4] = struct.pack("<I", value)
        return bytes(made)

    def with_names(*names: str, data: bytes = b"x") -> bytes:
        return zipped({**good, **dict.fromkeys(names, data)})

    return {
        "zip after a program": b"#!/bin/sh\nexit\n" * 100 + whole,
        "zip before something": whole + b"junk" * 1000,
        "zip with a second end in its comment": whole[:-2] + struct.pack("<H", 22) + b"PK\5\6" + b"\0" * 18,
        "zip with a NUL in a name": whole.replace(b"in.npy", b"in\0npy"),
        "zip with names of devices": with_names("CON", "aux.txt", "a. "),
        "zip with a name of 300 letters": with_names("a" * 300),
        "zip with a path of 6000 letters": with_names("/".join(["abc"] * 1500)),
        "zip with a file called .": with_names("."),
        "zip with a file in a file": with_names("q", "q/r"),
        "zip with a name from right to left": with_names("net\u202eyp.exe"),
        "zip with a name that is an escape": with_names("net\x9b31m"),
        "zip with 9000 files": with_names(*(f"f{i}" for i in range(9000)), data=b""),
        "zip with 10 001 files": with_names(*(f"f{i}" for i in range(10001)), data=b""),
        "zip with a recipe and weights beside": zipped({
            **good, "recipe.yaml": b"schema: toolkit.recipe/1\nname: evil\n", "best.safetensors": b"x",
            "training.json": b"{}"}),
        "zip with 200 bombs of 1 MB": with_names(*(f"b{i}" for i in range(200)), data=b"\0" * 2**20),
        "zip with one accent in two ways": with_names("\u00e9", "e\u0301"),
        "zip with one word in two cases": with_names("stra\u00dfe", "STRASSE"),
        "zip that lies of a size": patched(24, 2**32 - 1),
        "zip that lies of a place": patched(42, 2**31),
        "zip that tells too little": patched(24, 10),
    }  # fmt: skip


def yaml() -> dict[str, bytes]:
    good = packages.good()
    plain = good["rdf.yaml"].decode()
    texts: dict[str, str | bytes] = {
        "a Python name": "x: !!python/name:os.system", "a Python call": "x: !!python/object/new:os.system [id]",
        "binary": "x: !!binary aGk=", "a set": "x: !!set {a, b}", "a time": "x: !!timestamp 2020-01-01",
        "a merged key": "a: &a {b: 1}\nc: {<<: *a}", "10^5 digits": "name: " + "9" * 100_000, "1e999": "name: 1e999",
        "tags of its own": "%TAG ! tag:yaml.org,2002:python/\n---\nx: !name:os.system ''",
        "two documents": plain + "\n---\n{}", "a mark of order": "\ufeff" + plain, "16 bits": plain.encode("utf-16"),
        "null": "null", "nothing": "", "a NUL": 'name: "\\0"', "no key": "? null\n: 1\n",
        "a list as a key": "? [a]\n: 1",
        "a surrogate": 'name: "\\ud800"',
    }  # fmt: skip
    return {
        f"YAML with {name}": zipped({**good, "rdf.yaml": text if isinstance(text, bytes) else text.encode()})
        for name, text in texts.items()
    }


def former(marker: str) -> dict[str, bytes]:
    """Format 0.4."""
    good = packages.good()
    tensor = {"data_type": "float32", "axes": "bcyx"}
    free = {"min": [1, 1, 16, 16], "step": [0, 0, 16, 16]}
    like = {"reference_tensor": "raw", "scale": [1] * 4, "offset": [0] * 4}

    def made(**change: Any) -> bytes:
        plain = {
            "format_version": "0.4.10", "type": "model", "name": "old", "license": "MIT",
            "inputs": [{**tensor, "name": "raw", "shape": free}], "outputs": [{**tensor, "name": "out", "shape": like}],
            "test_inputs": ["in.npy"], "test_outputs": ["out.npy"], "weights": {"onnx": {"source": "net.onnx"}},
            **change,
        }  # fmt: skip
        return zipped({**good, "rdf.yaml": json.dumps(plain).encode()})

    def network(name: Any, **kwargs: Any) -> bytes:
        entry = {"source": "net.onnx", "architecture": name, "kwargs": kwargs}
        return made(weights={"pytorch_state_dict": entry})

    cases = {
        "a network that is os.system": network("os.system", command=f"touch {marker}"),
        "a network that is exec": network("builtins.exec"),
        "a network at an address": network("http://127.0.0.1:9/x.py:Net"),
        "a network at an absolute path": network("/etc/passwd:Net"),
        "a network that climbs": network("../../x.py:Net"),
        "a network that is a list": network([1, 2]),
        "a network of a library": network("monai.networks.nets.UNet", **unet_kwargs()),
        "weights that are text": made(weights="x", inputs=[], outputs=[]),
        "a number of tests": made(test_inputs=5),
        "a test at an absolute path": made(test_inputs=["/etc/passwd"]),
        "a hundred axes": made(inputs=[{"data_type": "float32", "axes": "b" * 100, "name": "raw", "shape": [1] * 100}]),
        "a shape that is text": made(inputs=[{**tensor, "name": "raw", "shape": "abc"}]),
        "Keras": made(weights={"keras_hdf5": {"source": "net.onnx"}}),
        "TensorFlow": made(weights={"tensorflow_saved_model_bundle": {"source": "net.onnx"}}),
        "its own parent": made(weights={"onnx": {"source": "net.onnx", "parent": "onnx"}}, parent={"id": "old"}),
    }
    return {f"0.4 with {name}": data for name, data in cases.items()}
