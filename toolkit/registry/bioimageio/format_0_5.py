"""Descriptions of format 0.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.io.units import micrometres
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

DEFAULT_ID = {"batch": "batch", "channel": "channel", "index": "index", "time": "time", "space": "x"}
SHORT = {"b": "batch", "c": "channel", "i": "index", "t": "time"}


def read(plain: Mapping[str, Any]) -> Description:
    """The description in `plain`; raises whatever is wrong with it."""
    inputs, outputs = (_named(plain[side], side[:-1]) for side in ("inputs", "outputs"))
    scales = {(t["id"], _id(axis)): float(axis.get("scale") or 1.0) for t in inputs for axis in t["axes"]}
    return Description(
        name=str(plain["name"]),
        version=str(plain.get("version") or "1"),
        licence=str(plain.get("license") or "unknown"),
        about=str(plain.get("description") or ""),
        format=str(plain["format_version"]),
        inputs=tuple(_tensor(t, "preprocessing", scales) for t in inputs),
        outputs=tuple(_tensor(t, "postprocessing", scales) for t in outputs),
        weights={str(kind): _weights(str(kind), w) for kind, w in plain["weights"].items() if w},
        plain=plain,
    )


def _named(tensors: Sequence[Mapping[str, Any]], side: str) -> list[dict[str, Any]]:
    """The tensors, those without an id called as the format calls them: `input` or `output`."""
    return [{**tensor, "id": str(tensor.get("id") or side)} for tensor in tensors]


def _tensor(plain: Mapping[str, Any], operations: str, scales: Mapping[tuple[str, str], float]) -> Tensor:
    axes = tuple(_axis(axis, scales) for axis in plain["axes"])
    names = [axis.get("channel_names") for axis in plain["axes"] if axis["type"] == "channel"]
    data = plain.get("data") or {}
    test = plain.get("test_tensor")
    return Tensor(
        id=str(plain["id"]),
        axes=axes,
        channels=tuple(map(str, names[0])) if names else (),
        dtype=str(data.get("type", "float32")) if isinstance(data, Mapping) else "float32",
        operations=tuple(_operation(o) for o in plain.get(operations) or ()),
        test=file(test["source"], test.get("sha256")) if test else None,
        optional=bool(plain.get("optional", False)),
    )


def _id(plain: Mapping[str, Any]) -> str:
    name = str(plain.get("id") or DEFAULT_ID[plain["type"]])
    return SHORT.get(name, name)


def _axis(plain: Mapping[str, Any], scales: Mapping[tuple[str, str], float]) -> Axis:
    raw = plain.get("size")
    size: int | Free | Like | None
    if plain["type"] == "channel":
        size = len(plain["channel_names"])
    elif isinstance(raw, Mapping) and "axis_id" in raw:
        tensor, axis = str(raw["tensor_id"]), SHORT.get(str(raw["axis_id"]), str(raw["axis_id"]))
        scale = scales.get((tensor, axis), 1.0) / float(plain.get("scale") or 1.0)
        size = Like(tensor, axis, scale, int(raw.get("offset") or 0))
    elif isinstance(raw, Mapping) and "step" in raw:
        size = Free(int(raw["min"]), int(raw["step"]))
    else:
        size = None if raw is None or isinstance(raw, Mapping) else int(raw)
    um = micrometres(plain.get("scale") or 1.0, plain.get("unit") or "") if plain["type"] == "space" else None
    return Axis(_id(plain), plain["type"], size, int(plain.get("halo") or 0), um)


def _operation(plain: Mapping[str, Any]) -> Operation:
    kwargs = dict(plain.get("kwargs") or {})
    for key in ("axes", "axis"):
        if isinstance(kwargs.get(key), str):
            kwargs[key] = SHORT.get(kwargs[key], kwargs[key])
    if isinstance(kwargs.get("axes"), list):
        kwargs["axes"] = tuple(SHORT.get(str(a), str(a)) for a in kwargs["axes"])
    return Operation(str(plain["id"]), kwargs)


def _weights(kind: str, plain: Mapping[str, Any]) -> Weights:
    external = plain.get("external_data")
    about = plain.get("architecture")
    return Weights(
        kind=kind,
        file=file(plain["source"], plain.get("sha256")),
        architecture=_architecture(about) if about else None,
        external=file(external["source"], external.get("sha256")) if external else None,
        strict=bool(plain.get("strict", True)),
    )


def _architecture(plain: Mapping[str, Any]) -> Architecture:
    kwargs = dict(plain.get("kwargs") or {})
    if "import_from" in plain:
        return Architecture(str(plain["callable"]), kwargs, module=str(plain["import_from"]))
    return Architecture(str(plain["callable"]), kwargs, file(plain["source"], plain.get("sha256")))
