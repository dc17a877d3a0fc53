"""Code from foreign packages: refused, unless these very bytes were reviewed or the user trusts the package.

Reviewed files and networks of known libraries are built in this process. What a user trusts is built in a process of
its own (`child.py`), which has confined itself before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from types import ModuleType
from typing import TYPE_CHECKING, Any

from toolkit.errors import ModelError

if TYPE_CHECKING:
    import torch

LIBRARY = {
    ("monai.networks.nets", name)
    for name in ("AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DynUNet", "SegResNet", "UNet", "UNETR", "VNet")
}
"""Networks that packages may import by name. None of them reads a file, opens an address or calls an argument."""


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
    return _module(getattr(import_module(module), name)(**kwargs), name)


def from_reviewed(source: bytes, name: str, kwargs: Mapping[str, Any], where: object) -> torch.nn.Module:
    """A network from the bytes of a reviewed file."""
    if sha256(source).hexdigest() not in reviewed():
        raise ModelError("this network file was not reviewed", where, "see seg models trust")
    return _module(getattr(execute(source, str(where)), name)(**kwargs), name)


def execute(source: bytes, where: str) -> ModuleType:
    """Run a Python file as a module that nothing else can import."""
    module = ModuleType("foreign_architecture")
    exec(compile(source, where, "exec"), module.__dict__)  # noqa: S102  (the one place, behind review or in `child.py`)
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
