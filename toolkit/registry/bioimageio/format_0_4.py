"""Descriptions of format 0.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Literal

from toolkit.errors import ModelError
from toolkit.registry.bioimageio.description import (
    Architecture,
    Axis,
    Description,
    Free,
    Like,
    Operation,
    Tensor,
    Weights,
    file,
)

Kind = Literal["batch", "channel", "index", "time", "space"]
KINDS: dict[str, Kind] = {
    "b": "batch", "c": "channel", "i": "index", "t": "time", "z": "space", "y": "space", "x": "space",
}  # fmt: skip


def read(plain: Mapping[str, Any]) -> Description:
    """The description in `plain`; raises whatever is wrong with it."""
    return Description(
        name=str(plain["name"]),
        version=str(plain.get("version") or "1"),
        licence=str(plain.get("license") or "unknown"),
        about=str(plain.get("description") or ""),
        format=str(plain["format_version"]),
        inputs=_tensors(plain["inputs"], "preprocessing", plain.get("test_inputs") or []),
        outputs=_tensors(plain["outputs"], "postprocessing", plain.get("test_outputs") or []),
        weights={str(kind): _weights(str(kind), w) for kind, w in plain["weights"].items() if w},
        plain=plain,
    )


def _tensors(plain: Sequence[Mapping[str, Any]], operations: str, tests: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(_tensor(tensor, operations, test) for tensor, test in zip_longest(plain, tests[: len(plain)]))


def _tensor(plain: Mapping[str, Any], operations: str, test: Any) -> Tensor:
    axes = tuple(_axis(i, letter, plain) for i, letter in enumerate(plain["axes"]))
    count = next((axis.size for axis in axes if axis.kind == "channel"), None)
    return Tensor(
        id=str(plain["name"]),
        axes=axes,
        channels=tuple(f"channel{i}" for i in range(count)) if isinstance(count, int) and count < 10_000 else (),
        dtype=str(plain.get("data_type") or "float32"),
        operations=tuple(_operation(o, axes) for o in plain.get(operations) or ()),
        test=file(test) if test else None,
    )


def _axis(index: int, letter: str, plain: Mapping[str, Any]) -> Axis:
    kind, name = KINDS[letter], _name(letter)
    halo = int((plain.get("halo") or [0] * (index + 1))[index])
    shape = plain["shape"]
    size: int | Free | Like | None
    if isinstance(shape, Sequence):
        size = int(shape[index])
    elif "min" in shape:
        size = Free(int(shape["min"][index]), int(shape["step"][index]))
        # A step of 0 is how this format says that an axis has one size.
        size = size.least if size.step == 0 else size
    else:
        scale, offset = shape["scale"][index], float(shape["offset"][index])
        size = (
            Like(str(shape["reference_tensor"]), name, float(scale), round(2 * offset)) if scale else round(2 * offset)
        )
    if kind == "batch":
        size = 1 if size == 1 and isinstance(shape, Sequence) else None
    return Axis(name, kind, size, halo)


def _name(letter: str) -> str:
    return letter if KINDS[letter] == "space" else KINDS[letter]


def _operation(plain: Mapping[str, Any], axes: tuple[Axis, ...]) -> Operation:
    name, kwargs = str(plain["name"]), dict(plain.get("kwargs") or {})
    mode = kwargs.pop("mode", None)
    if kwargs.get("axes") is not None:
        kwargs["axes"] = tuple(_name(letter) for letter in kwargs["axes"])
    if name == "zero_mean_unit_variance" and mode == "fixed":
        name = "fixed_zero_mean_unit_variance"
    if name in ("fixed_zero_mean_unit_variance", "scale_linear"):
        kwargs = _along(kwargs, axes)
    return Operation(name, kwargs)


def _along(kwargs: dict[str, Any], axes: tuple[Axis, ...]) -> dict[str, Any]:
    """Numbers for all axes, or lists along the one axis that `axes` leaves out."""
    joint = kwargs.pop("axes", None)
    lists = [key for key in ("gain", "offset", "mean", "std") if isinstance(kwargs.get(key), list)]
    if all(len(kwargs[key]) == 1 for key in lists):
        return {key: value[0] if key in lists else value for key, value in kwargs.items()}
    rest = [axis.id for axis in axes if axis.kind != "batch" and axis.id not in (joint or ())]
    if joint is None or len(rest) != 1:
        raise ModelError("numbers per channel need the axes that they are for", str(kwargs), "ask the model's author")
    return {**kwargs, "axis": rest[0]}


def _weights(kind: str, plain: Mapping[str, Any]) -> Weights:
    return Weights(kind, file(plain["source"], plain.get("sha256")), _architecture(plain))


def _architecture(plain: Mapping[str, Any]) -> Architecture | None:
    about, kwargs = plain.get("architecture"), dict(plain.get("kwargs") or {})
    if not about:
        return None
    if ":" in about:
        source, _, name = str(about).rpartition(":")
        return Architecture(name, kwargs, file(source, plain.get("architecture_sha256")))
    module, _, name = str(about).rpartition(".")
    return Architecture(name, kwargs, module=module)
