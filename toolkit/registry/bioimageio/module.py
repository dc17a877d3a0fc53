# ruff: noqa: TID253
# Torch at module level: only building a network imports this file.
"""A foreign model as the torch module that the predictor wants: windows in, heads out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.errors import ModelError
from toolkit.gpu.memory import exhausted
from toolkit.registry.bioimageio import operations
from toolkit.registry.bioimageio.description import Description, Operation, Tensor
from toolkit.registry.bioimageio.synthesis import Adapter
from toolkit.registry.gate import refusing
from toolkit.registry.gate.graph import Graph
from toolkit.registry.gate.limited import Trial
from toolkit.registry.gate.process import Child

log = logging.getLogger(__name__)
FAILED = "the network failed"


class Plain(nn.Module):
    """A torch network that may answer with one tensor or with several. `weights` are its bytes."""

    def __init__(self, network: nn.Module, weights: int, where: str) -> None:
        super().__init__()
        self.network = network
        # A fork cannot use a GPU that its parent uses: what is tried there stays on the CPU.
        tried = deepcopy(network) if torch.cuda.is_available() else network
        self._trial = Trial(partial(_on_cpu, tried), weights, FAILED, where)

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        self._trial([i.shape for i in inputs], lambda: [i[:1].cpu().numpy() for i in inputs])
        with running(type(self.network).__name__):
            return _listed(self.network(*inputs))


def _on_cpu(network: nn.Module, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        return [o.float().numpy() for o in _listed(network(*(torch.from_numpy(a) for a in arrays)))]


def _listed(outputs: Any) -> list[torch.Tensor]:
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


@contextmanager
def running(where: str) -> Iterator[None]:
    """What a foreign network raises as `ModelError`, but for memory that a machine does not have."""
    try:
        with refusing(FAILED, where, "does the window have a size that it takes?"):
            yield
    except ModelError as error:
        if error.__cause__ is not None and exhausted(error.__cause__):
            raise error.__cause__ from None
        raise


class Session(nn.Module):
    """An ONNX graph, loaded when the first tensor shows on which device."""

    def __init__(self, load: Callable[[Sequence[str]], Graph]) -> None:
        super().__init__()
        self._load = load
        self._graph: Graph | None = None

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        device = inputs[0].device
        if self._graph is None:
            self._graph = self._load(_providers(device))
        return [torch.from_numpy(a).to(device) for a in self._graph([i.cpu().numpy() for i in inputs])]


class Remote(nn.Module):
    """Code that a user trusts, in its own process."""

    def __init__(self, child: Child) -> None:
        super().__init__()
        self._child = child

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        device = inputs[0].device
        outputs = self._child([i.cpu().numpy() for i in inputs], str(device))
        return [torch.from_numpy(o).to(device) for o in outputs]


class Foreign(nn.Module):
    """Windows `(B, C, *S)` to heads `(B, channels, *S)`: axes, rest of the preprocessing, network, postprocessing."""

    def __init__(self, description: Description, adapter: Adapter, network: nn.Module) -> None:
        super().__init__()
        self.description, self.adapter, self.network = description, adapter, network

    def forward(self, windows: torch.Tensor) -> dict[str, torch.Tensor]:
        source = self.description.inputs[0]
        margin = [n for m in reversed(self.adapter.margin) for n in (m, m)]
        if any(margin):
            # A network without padding answers for less than it sees: give it the border that it cuts off.
            windows = nn.functional.pad(windows, margin, mode="reflect")
        self._check(windows.shape[2:], source)
        batches = torch.split(windows, 1) if self.adapter.single else [windows]
        answers = [self._batch(part, source) for part in batches]
        return {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}

    def _batch(self, windows: torch.Tensor, source: Tensor) -> dict[str, torch.Tensor]:
        outputs = run(self.description, self.network, [to_model(windows, source)], self.adapter.operations)
        heads: dict[str, torch.Tensor] = {}
        shape = [n - 2 * m for n, m in zip(windows.shape[2:], self.adapter.margin, strict=True)]
        for output in self.adapter.outputs:
            beyond = [most - own for most, own in zip(self.adapter.margin, output.margin, strict=True)]
            tensor = self.description.outputs[output.index]
            self._described(outputs[output.index], tensor, [n + 2 * b for n, b in zip(shape, beyond, strict=True)])
            maps = from_model(outputs[output.index], tensor)
            for d, (size, start) in enumerate(zip(shape, beyond, strict=True)):
                maps = maps.narrow(2 + d, start, size)
            for part in output.parts:
                picked = 1 - maps[:, list(part.channels)] if part.complement else maps[:, list(part.channels)]
                known = heads.get(part.head.name)
                heads[part.head.name] = picked if known is None else torch.cat([known, picked], 1)
        return heads

    def _described(self, x: torch.Tensor, tensor: Tensor, shape: Sequence[int]) -> None:
        """Refuse an output, once it is postprocessed, whose sizes are not those of its description."""
        sizes = dict(zip(tensor.space, shape, strict=True))
        for axis, size in zip(tensor.axes, x.shape, strict=True):
            said = {"channel": axis.size, "space": sizes.get(axis.id), "index": 1, "time": 1}.get(axis.kind)
            if isinstance(said, int) and size != said:
                raise ModelError("the model gives something else than its description says",
                                 f"{self.description.name}: {tensor.id} has size {size} along {axis.id}, not {said}",
                                 "ask the model's author")  # fmt: skip

    def _check(self, shape: Sequence[int], source: Tensor) -> None:
        for axis, size in zip(source.space, shape, strict=True):
            if not self.adapter.fits(axis, int(size)):
                raise ModelError(
                    f"the model does not take windows of {int(size)} voxels along {axis}",
                    f"{self.description.name} wants {self.adapter.wants(axis)}",
                    "set tiling.window",
                )


def run(
    description: Description,
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    pre: Sequence[Operation] | None = None,
) -> list[torch.Tensor]:
    """All outputs, postprocessed, for inputs in the model's own axes; `pre` replaces the preprocessing of the first."""
    described = description.inputs[: len(inputs)]
    raw = {t.id: (x, t.ids) for t, x in zip(described, inputs, strict=True)}
    ready = []
    for tensor, x in zip(described, inputs, strict=True):
        steps = tensor.operations if pre is None else pre
        x = operations.apply(steps, (_ranked(x, tensor), tensor.ids), raw, tensor.id)
        # Networks take float32, unless the last step says what they take.
        ready.append(x if steps and steps[-1].id == "ensure_dtype" else x.to(torch.float32))
    outputs = network(ready)
    if len(outputs) < len(description.outputs):
        raise ModelError("the network gives fewer outputs than described", description.name, "ask its author")
    pairs = list(zip(description.outputs, outputs, strict=False))
    others = {**raw, **{t.id: (x, t.ids) for t, x in pairs}}
    return [operations.apply(t.operations, (_ranked(x, t), t.ids), others, t.id) for t, x in pairs]


def to_model(windows: torch.Tensor, tensor: Tensor) -> torch.Tensor:
    """`(B, C, *S)` in the axes of a model's input."""
    kinds = [axis.kind for axis in tensor.axes]
    x = windows
    if "channel" not in kinds:
        x = x.squeeze(1)
    if "batch" not in kinds:
        x = x.squeeze(0)
    have = [*(["b"] if "batch" in kinds else []), *(["c"] if "channel" in kinds else []), *tensor.space]
    want = [_key(axis.id, axis.kind) for axis in tensor.axes]
    x = x.permute([have.index(key) for key in want if key in have])
    for position, key in enumerate(want):
        if key not in have:
            x = x.unsqueeze(position)
    return x.contiguous()


def from_model(x: torch.Tensor, tensor: Tensor) -> torch.Tensor:
    """A model's output as `(B, C, *S)`."""
    want = [_key(axis.id, axis.kind) for axis in tensor.axes]
    for position in reversed(range(len(want))):
        if want[position] not in ("b", "c", *tensor.space):
            x, want = x.squeeze(position), want[:position] + want[position + 1 :]
    for position, key in enumerate(("b", "c")):
        if key not in want:
            x, want = x.unsqueeze(position), [*want[:position], key, *want[position:]]
    return x.permute([want.index(key) for key in ("b", "c", *tensor.space)]).float()


def _key(name: str, kind: str) -> str:
    return {"batch": "b", "channel": "c"}.get(kind, name)


def _ranked(x: torch.Tensor, tensor: Tensor) -> torch.Tensor:
    if x.ndim != len(tensor.axes):
        raise ModelError("a tensor has other axes than described", f"{tensor.id}: {list(x.shape)} for {tensor.ids}",
                         "ask the model's author")  # fmt: skip
    return x


def _providers(device: torch.device) -> list[str]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]
    log.warning("this onnxruntime has no CUDA: the network runs on the CPU, everything else on %s", device)
    return ["CPUExecutionProvider"]
