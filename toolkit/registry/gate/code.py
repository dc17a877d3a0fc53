"""Code from foreign packages: refused, unless these very bytes were reviewed or the user trusts the package.

Reviewed files and networks of known libraries are built in this process. What a user trusts runs in a child process
under Landlock (`child.py`); this module is the parent's end.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.registry.gate import refusing

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
LIBRARY = {
    ("monai.networks.nets", name)
    for name in ("AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DynUNet", "SegResNet", "UNet", "UNETR", "VNet")
}
"""Networks that packages may import by name. None of them reads a file, opens an address or calls an argument."""
PATIENCE = 600.0
"""Seconds that trusted code may take for one answer."""
MOST_BYTES = 2**33
FAILED = "the model's own code failed"


@cache
def reviewed() -> frozenset[str]:
    """sha256 of every network file that was reviewed."""
    text = files("toolkit.registry.gate").joinpath("reviewed.json").read_text(encoding="utf8")
    return frozenset(json.loads(text)["files"])


def from_library(module: str, name: str, kwargs: Mapping[str, Any]) -> torch.nn.Module:
    """A network of a known library; raises `ModelError` for any other import."""
    if (module, name) not in LIBRARY:
        raise ModelError("the model asks to import what is not a known network", f"{module}.{name}",
                         "such a model is not run, and trust does not change that")  # fmt: skip
    with refusing("the network cannot be built", f"{module}.{name}"):
        return _module(getattr(import_module(module), name)(**kwargs), name)


def from_reviewed(source: bytes, name: str, kwargs: Mapping[str, Any], where: object) -> torch.nn.Module:
    """A network from the bytes of a reviewed file."""
    if sha256(source).hexdigest() not in reviewed():
        raise ModelError("this network file was not reviewed", where, "see seg models trust")
    with refusing("the network cannot be built", where):
        return _module(getattr(execute(source, str(where)), name)(**kwargs), name)


def execute(source: bytes, where: str) -> ModuleType:
    """Run a Python file as a module that nothing else can import."""
    module = ModuleType("foreign_architecture")
    exec(compile(source, where, "exec"), module.__dict__)  # noqa: S102  (the one place, behind review or Landlock)
    return module


def torchscript(data: bytes) -> torch.nn.Module:
    """A TorchScript module: code at load time already, so only the child process calls this."""
    import io

    import torch

    return _module(torch.jit.load(io.BytesIO(data), map_location="cpu"), "TorchScript")  # type: ignore[no-untyped-call]


def _module(made: Any, name: str) -> torch.nn.Module:
    import torch

    if not isinstance(made, torch.nn.Module):
        raise ModelError("the architecture is no torch module", name, "ask the model's author")
    return made


class Child:
    """A process that holds one trusted network and answers arrays with arrays. It ends with this object."""

    def __init__(self, task: Mapping[str, Any], blobs: Sequence[bytes], where: str) -> None:
        """`task` and `blobs` are what `child.py` builds the network from."""
        self._where = where
        scratch = Path(tempfile.mkdtemp(prefix="seg-model-"))
        # An environment of its own: no tokens, no proxies, no startup files of Python.
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "toolkit.registry.gate.child", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env={**keep, "HOME": str(scratch), "TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._end = weakref.finalize(self, _end, self._process, scratch)
        answer, _ = self._ask({**task, "blobs": len(blobs)}, blobs)
        if not answer["sandboxed"]:
            log.warning("this system has no Landlock: the code of %s runs, as you trust it, not sandboxed", where)

    def __call__(self, arrays: Sequence[NDArray[Any]], device: str) -> list[NDArray[Any]]:
        """The network's outputs for these inputs, computed on `device`."""
        about = [{"dtype": a.dtype.str, "shape": a.shape} for a in arrays]
        answer, blobs = self._ask({"arrays": about, "device": device}, [np.ascontiguousarray(a) for a in arrays])
        with refusing(FAILED, self._where):
            return [_array(a, blob) for a, blob in zip(answer["arrays"], blobs, strict=True)]

    def _ask(self, header: Mapping[str, Any], blobs: Sequence[Any]) -> tuple[dict[str, Any], list[bytes]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        timer = Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            with refusing(FAILED, self._where, "it may need something that the sandbox forbids, or more memory"):
                if stdin is None or stdout is None:
                    raise OSError("the process has no pipes")
                send(stdin, header, blobs)
                answer, found = receive(stdout)
        finally:
            timer.cancel()
        if "error" in answer:
            raise ModelError(FAILED, f"{self._where} ({str(answer['error'])[:200]})", "ask the model's author")
        return answer, found


def _end(process: subprocess.Popen[bytes], scratch: Path) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    shutil.rmtree(scratch, ignore_errors=True)


def _array(about: Mapping[str, Any], blob: bytes) -> NDArray[Any]:
    dtype = np.dtype(str(about["dtype"]))
    if dtype.kind not in "biuf":
        raise ValueError(f"an output has dtype {dtype}")
    return np.frombuffer(blob, dtype).reshape([int(n) for n in about["shape"]]).copy()


def send(stream: IO[bytes], header: Mapping[str, Any], blobs: Sequence[Any]) -> None:
    """Write a header as JSON and blobs as bytes, each after its length."""
    for part in (json.dumps(header).encode(), *blobs):
        view = memoryview(part).cast("B") if len(memoryview(part)) else b""
        stream.write(struct.pack("<Q", len(view)))
        stream.write(view)
    stream.write(struct.pack("<Q", MOST_BYTES + 1))
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read what `send` wrote; raises `EOFError` if the other end is gone, `ValueError` if it makes no sense."""
    parts: list[bytes] = []
    while (length := struct.unpack("<Q", _exactly(stream, 8))[0]) <= MOST_BYTES:
        parts.append(_exactly(stream, length))
    header = json.loads(parts[0])
    if not isinstance(header, dict):
        raise ValueError("the answer is no mapping")
    return header, parts[1:]


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the process ended")
    return data
