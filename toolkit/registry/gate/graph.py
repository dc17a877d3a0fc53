"""ONNX graphs from foreign bytes: contained data only, no operators but the standard ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.registry.gate import refusing

if TYPE_CHECKING:
    import onnxruntime

MOST_BYTES = 2**31 - 2**20
"""A graph with its weights is one protobuf message, which may not reach 2 GB."""
DAMAGED = "the ONNX graph is damaged or not supported"
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph ready to run. `shapes` holds the shape of each input; None where a size is free."""

    session: onnxruntime.InferenceSession
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    where: str

    def __call__(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs for these inputs; raises `ModelError` if the graph fails on them."""
        with refusing("the ONNX graph failed", self.where, "does the image have the shape that the model wants?"):
            return [np.asarray(a) for a in self.session.run(None, dict(zip(self.inputs, arrays, strict=False)))]


def load(data: bytes, read: Callable[[str], bytes], where: str, providers: Sequence[str]) -> Graph:
    """The graph in `data`. Weights that it keeps in other files come from `read(name)`, which knows only the package.

    Raises `ModelError` if it is damaged, if it is too large, or if it names a file outside the package.
    """
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
        inputs = session.get_inputs()
    shapes = tuple(tuple(n if isinstance(n, int) and n > 0 else None for n in i.shape) for i in inputs)
    return Graph(session, tuple(i.name for i in inputs), shapes, where)


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
