"""ONNX graphs from foreign bytes: contained data only, no operators but the standard ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.registry.gate import refusing
from toolkit.registry.gate.channel import plain_array
from toolkit.registry.gate.limited import AVAILABLE, Limited, Run, Trial

MOST_BYTES = 2**31 - 2**20
"""A graph with its weights is one protobuf message, which may not reach 2 GB."""
DAMAGED = "the ONNX graph is damaged or not supported"
FAILED = "the ONNX graph failed"
FREE = 0
"""What stands for a size that may be any."""
CPU = "CPUExecutionProvider"
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph ready to run: `run` gives all outputs for the inputs, `trial` has to have seen inputs before."""

    run: Run
    where: str
    trial: Trial | None = None

    def __call__(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs for these inputs; raises `ModelError` if the graph fails on them."""
        with refusing(FAILED, self.where, "does the image have the shape that the model wants?"):
            if self.trial is not None:
                self.trial([a.shape for a in arrays], lambda: [a[:1] for a in arrays])
            return list(self.run(arrays))


def load(
    data: bytes, read: Callable[[str], bytes], where: str, providers: Sequence[str], size: int | None = None
) -> Graph:
    """The graph in `data`. Weights that it keeps in other files come from `read(name)`, which knows only the package,
    of `size` bytes in all.

    On the CPU it lives in a fork that may cost what its size and its inputs warrant; on another device it runs once it
    has been tried in such a fork. Raises `ModelError` if it is damaged, if it is too large, or if it names a file
    outside the package.
    """
    import onnx  # noqa: F401  (once, not in every fork)
    import onnxruntime  # noqa: F401

    def make(chosen: Sequence[str]) -> Run:
        return _session(data, read, where, chosen)

    if not AVAILABLE:
        return Graph(make(providers), where)
    weights = size or len(data)
    held = Limited(partial(make, [CPU]), weights, DAMAGED, where)
    if list(providers) == [CPU]:
        return Graph(held, where)
    return Graph(make(providers), where, Trial(held, weights, FAILED, where))


def _session(data: bytes, read: Callable[[str], bytes], where: str, providers: Sequence[str]) -> Run:
    import onnx
    import onnxruntime

    with refusing(DAMAGED, where):
        model = onnx.load_model_from_string(data)
        external = list(_external(model))
        if external:
            _embed(external, read, where, len(data))
            data = model.SerializeToString()
        domains = {opset.domain for opset in model.opset_import}
        if not domains <= set(_STANDARD):
            raise ModelError("the ONNX graph needs operators of its own", f"{where}: {', '.join(sorted(domains))}",
                             "ask the author for a graph of standard operators")  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(data, options, providers=list(providers))
        wanted = [
            (i.name, [n if isinstance(n, int) and n > 0 else FREE for n in i.shape]) for i in session.get_inputs()
        ]
        if not wanted:
            raise ModelError("the ONNX graph takes no input", where, "ask the model's author")

    def run(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        for (_, shape), array in zip(wanted, arrays, strict=False):
            # 0 is a size that is free.
            if len(shape) != array.ndim or any(
                n not in (0, m) for n, m in zip(shape[1:], array.shape[1:], strict=True)
            ):
                raise ModelError("the graph takes another shape", f"{where}: {shape}, not {list(array.shape)}",
                                 "set tiling.window")  # fmt: skip
        # A graph with a fixed batch gets its samples one by one.
        one = wanted[0][1][:1] == [1] and len(arrays[0]) > 1
        batches = [[a[n : n + 1] for a in arrays] for n in range(len(arrays[0]))] if one else [list(arrays)]
        names = [name for name, _ in wanted]
        answers = [session.run(None, dict(zip(names, batch, strict=False))) for batch in batches]
        return [_whole(parts) for parts in zip(*answers, strict=True)]

    return run


def _whole(parts: Sequence[Any]) -> NDArray[Any]:
    """The samples of an output as one array; raises `ValueError` if it is no array of plain numbers."""
    arrays = [plain_array(part) for part in parts]
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _external(model: Any) -> Iterator[Any]:
    """Every tensor whose data lies in another file, those inside nodes and subgraphs included."""
    todo = [model]
    while todo:
        message = todo.pop()
        if message.DESCRIPTOR.name == "TensorProto" and message.data_location == message.EXTERNAL:
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None and field.message_type.file.package == "onnx":
                todo.extend(value if not hasattr(value, "DESCRIPTOR") else [value])


def _embed(tensors: list[Any], read: Callable[[str], bytes], where: object, size: int) -> None:
    """Move external data into the graph, so that the runtime opens no file itself."""
    files: dict[str, bytes] = {}
    for tensor in tensors:
        about = {entry.key: entry.value for entry in tensor.external_data}
        name = about.get("location", "")
        if name not in files:
            files[name] = read(name)
        start = int(about.get("offset") or 0)
        length = int(about.get("length") or len(files[name]) - start)
        size += length
        if start < 0 or length < 0 or start + length > len(files[name]) or size > MOST_BYTES:
            raise ModelError("the ONNX graph names data that are not there", f"{where}: {name}", "get the model again")
        tensor.raw_data = files[name][start : start + length]
        del tensor.external_data[:]
        tensor.data_location = tensor.DEFAULT
