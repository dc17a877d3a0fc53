"""Which weights of a package run, by what they can do to this computer, and the network that they make.

Data runs; code runs if these very bytes were reviewed, or if the user trusts the package; the rest never runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from toolkit.errors import ModelError, NotTrusted
from toolkit.registry.bioimageio.description import Architecture, Description, File, Weights
from toolkit.registry.gate import code
from toolkit.registry.gate.archive import Files
from toolkit.registry.gate.fitted import fitted

if TYPE_CHECKING:
    import torch

Tier = Literal["data", "reviewed", "code"]


@dataclass(frozen=True)
class Choice:
    """The weights entry that runs, and what kind of thing it is."""

    weights: Weights
    tier: Tier


def choose(description: Description, files: Files, trusted: Callable[[str], bool], name: str = "") -> Choice:
    """The most harmless weights that this toolkit can run.

    `name` is what the model is called here. Raises `NotTrusted` if all of them are code that is neither reviewed nor
    trusted (`trusted` is asked with the digest of the package), `ModelError` if none can ever run.
    """
    refused, entries = [], []
    for weights in description.weights.values():
        kind, why = tier(weights, files)
        if kind is None:
            refused.append(f"{weights.kind} ({why})")
        else:
            entries.append(Choice(weights, kind))
    order: tuple[Tier, ...] = ("data", "reviewed", "code")
    # Within one tier: ONNX, then a state dict, then TorchScript.
    kinds = ("onnx", "pytorch_state_dict", "torchscript")
    entries.sort(key=lambda c: (order.index(c.tier), kinds.index(c.weights.kind)))
    if not entries:
        raise ModelError("none of the model's weights can be run", f"{files.where}: {', '.join(refused) or 'none'}",
                         "look for a version with ONNX, or ask the author for one")  # fmt: skip
    if entries[0].tier == "code" and not trusted(files.digest):
        names = ", ".join(sorted({f.name for f in description.code()}))
        raise NotTrusted("the model is code that nobody has reviewed", f"{files.where}: {names}",
                         f"look at it, then: seg models trust {name or files.where}")  # fmt: skip
    return entries[0]


def tier(weights: Weights, files: Files) -> tuple[Tier | None, str]:
    """The tier of an entry, or None and why it never runs."""
    if weights.kind == "onnx":
        return "data", ""
    if weights.kind == "torchscript":
        return ("code", "") if PurePosixPath(weights.file.name).suffix != ".pt2" else (None, "pt2")
    if weights.kind != "pytorch_state_dict" or weights.architecture is None:
        return None, "this toolkit does not run it"
    if weights.architecture.module is not None:
        known = (weights.architecture.module, weights.architecture.callable) in code.LIBRARY
        return ("data", "") if known else (None, f"imports {weights.architecture.module}")
    if weights.architecture.file is None or weights.architecture.file.name not in files:
        return None, "its network file is missing"
    return ("reviewed" if files.hashes[weights.architecture.file.name] in code.reviewed() else "code"), ""


def network(choice: Choice, files: Files) -> torch.nn.Module:
    """The network of a chosen entry: a list of inputs to a list of outputs, in the model's own axes.

    Every file is checked against its sha256 on the way. Raises `ModelError` if anything is damaged or does not fit.
    """
    weights, where = choice.weights, f"{files.where}: {choice.weights.file.name}"
    data = files.read(weights.file.name, weights.file.sha256)
    if weights.kind == "onnx":
        return _graph(weights, data, files, where)
    if choice.tier == "code":
        return _child(weights, data, files, where)
    from toolkit.registry.bioimageio.module import Plain

    state = read_state(data, where)
    build = _architecture(_known(weights), files)
    return Plain(fitted(build, state, where, weights.strict).eval(), len(data), where)


def read_state(data: bytes, where: object) -> dict[str, torch.Tensor]:
    """The tensors in `data`, safetensors or `.pt`."""
    from toolkit.registry.gate import tensors

    return tensors.state_dict(data, where) if data[:2] in (b"PK", b"\x80\x02") else tensors.safetensors(data, where)


def _known(weights: Weights) -> Architecture:
    if weights.architecture is None:
        raise ModelError("the state dict has no architecture", weights.file.name, "ask the model's author")
    return weights.architecture


def _architecture(about: Architecture, files: Files) -> Callable[[], torch.nn.Module]:
    if about.file is None:
        return partial(code.from_library, about.module or "", about.callable, about.kwargs)
    source = files.read(about.file.name, about.file.sha256)
    return partial(code.from_reviewed, source, about.callable, about.kwargs, f"{files.where}: {about.file.name}")


def _graph(weights: Weights, data: bytes, files: Files, where: str) -> torch.nn.Module:
    from toolkit.registry.bioimageio.module import Session
    from toolkit.registry.gate import graph

    known = weights.external or File("")

    def read(name: str) -> bytes:
        return files.read(name, known.sha256 if name == known.name else None)

    size = sum(files.sizes.values())
    return Session(lambda providers: graph.load(data, read, where, providers, size))


def _child(weights: Weights, data: bytes, files: Files, where: str) -> torch.nn.Module:
    from toolkit.registry.bioimageio.module import Remote
    from toolkit.registry.gate.process import Child

    task: dict[str, Any] = {"kind": weights.kind, "name": weights.file.name}
    blobs = [data]
    if weights.kind == "pytorch_state_dict":
        about = _known(weights)
        source = about.file or File("")
        blobs = [files.read(source.name, source.sha256), data]
        task |= {"callable": about.callable, "kwargs": dict(about.kwargs), "strict": weights.strict}
    return Remote(Child(task, blobs, where))


def listing(description: Description, files: Files) -> list[tuple[str, str, bool]]:
    """Code files of a package: name, sha256, reviewed or not."""
    names = sorted({f.name for f in description.code() if f.name in files})
    return [(name, files.hashes[name], files.hashes[name] in code.reviewed()) for name in names]
