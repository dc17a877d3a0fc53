"""Tensors from foreign bytes: safetensors, `.pt` state dicts, `.npy` arrays. Dense and plain, or refused."""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ModelError
from toolkit.registry.gate import refusing
from toolkit.registry.gate.channel import plain_array, plain_dtype

if TYPE_CHECKING:
    import torch

DAMAGED = "the weights are damaged"
FORBIDDEN = "the weights are a full pickle, which is code"
ASK = "ask the author for safetensors, a plain state dict or ONNX"
MOST_TENSORS = 20_000
MOST_HEADER = 500 * MOST_TENSORS
"""Bytes of the header of safetensors."""
MOST_OPCODES = 100 * MOST_TENSORS
_PLAIN = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}
_STORAGES = {
    ("torch", f"{kind}Storage")
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5
"""The format before torch 1.6: magic number, version, machine, the object, the keys of its storages; then raw data."""
_INNER = ("state_dict", "model_state_dict", "model")


def safetensors(data: bytes, where: object) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, by name; raises `ModelError` if it is damaged."""
    from safetensors.torch import load

    with refusing(DAMAGED, where):
        # A header is JSON of its tensors; what it says of their bytes, the library checks.
        length = int.from_bytes(data[:8], "little")
        if length > min(len(data), MOST_HEADER) or len(json.loads(data[8 : 8 + length])) > MOST_TENSORS:
            raise ValueError("its header is damaged or has too many tensors")
        return dict(load(data))


def state_dict(data: bytes, where: object) -> dict[str, torch.Tensor]:
    """The tensors of a `.pt` file, by name.

    Its pickle is read opcode by opcode first, without executing any: only what a plain state dict needs may be named in
    it. Raises `ModelError` otherwise, and for anything but dense tensors that lie inside the file.
    """
    import torch

    with refusing(DAMAGED, where):
        for stream in _pickles(data):
            _check_pickle(stream, where)
        with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        inner = next((found[key] for key in _INNER if isinstance(found.get(key), dict)), found)
        return {_named(key, where): _dense(tensor, len(data), f"{where}: {key}") for key, tensor in inner.items()}


def array(data: bytes, where: object) -> NDArray[Any]:
    """The array of an `.npy` file; raises `ModelError` unless header and size agree and it holds plain numbers."""
    with refusing("this array is damaged", where):
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = header(stream)
        plain_dtype(dtype.str)
        size = prod(int(n) for n in shape) * dtype.itemsize
        if any(n < 0 for n in shape) or size != len(data) - stream.tell():
            raise ModelError("this array is damaged or holds no plain numbers", where, "get the model again")
        flat = np.frombuffer(data, dtype, offset=stream.tell())
        return np.array(plain_array(flat.reshape(shape, order="F" if fortran else "C")), order="C")


def _pickles(data: bytes) -> list[io.BytesIO]:
    """The pickles of a `.pt` file: one in a zip, or five in a row."""
    if not data.startswith(b"PK"):
        if not data.startswith(_LEGACY_MAGIC):
            raise ValueError("neither a zip nor a legacy torch file")
        return [io.BytesIO(data)]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_TENSORS:
            raise ValueError("it has too many tensors")
        names = [entry.filename for entry in entries]
        stored = all(entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1 for entry in entries)
        if len(set(names)) < len(names) or not stored:
            raise ValueError("not an archive that torch wrote")
        # TorchScript archives have code/ and constants.pkl; a state dict has one pickle.
        if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
            raise ValueError("it is TorchScript, not a state dict")
        return [io.BytesIO(archive.read(name)) for name in names if name.endswith(".pkl")]


def _check_pickle(stream: io.BytesIO, where: object) -> None:
    legacy = stream.getbuffer()[: len(_LEGACY_MAGIC)] == _LEGACY_MAGIC
    for _ in range(_LEGACY_PICKLES if legacy else 1):
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_OPCODES:
                raise ModelError(DAMAGED, f"{where} (it has too many tensors)", ASK)
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                if (module, name) not in _PLAIN | _STORAGES:
                    raise ModelError(FORBIDDEN, f"{where} names {module}.{name}", ASK)
            elif opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
                raise ModelError(FORBIDDEN, f"{where} holds opcode {opcode.name}", ASK)


def _named(key: object, where: object) -> str:
    if not isinstance(key, str):
        raise ModelError("the state dict has a key that is no name", where, ASK)
    return key


def _dense(tensor: object, most: int, where: object) -> torch.Tensor:
    """`tensor` as a copy of its own, once it is known to be dense, plain and no larger than the file."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise ModelError("the state dict holds something that is no tensor", where, ASK)
    plain = (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_complex()
    )
    if not plain:
        raise ModelError("the state dict holds something that is no plain dense tensor", where, ASK)
    if tensor.untyped_storage().nbytes() > most or tensor.numel() * tensor.element_size() > most:
        raise ModelError("a tensor is larger than its file", where, "get the model again from its author")
    return tensor.detach().contiguous().clone()
