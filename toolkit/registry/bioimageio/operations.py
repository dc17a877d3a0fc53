# ruff: noqa: TID253
# Torch at module level: only `module.py` imports this file, when a network is built.
"""Pre- and postprocessing of the format, on torch tensors in the model's own axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from toolkit.errors import ModelError
from toolkit.registry.bioimageio.description import Operation
from toolkit.registry.gate import refusing

Named = tuple[torch.Tensor, tuple[str, ...]]
"""A tensor and the ids of its axes."""
EPS = 1e-6
FAILED = "an operation of the model cannot be carried out"
DTYPES = {f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)} | {"float32", "float64", "bool"}
"""What the format lets a tensor be."""


def apply(operations: Sequence[Operation], tensor: Named, others: Mapping[str, Named], where: str) -> torch.Tensor:
    """The operations one after the other. `others` are the unprocessed inputs that an operation may refer to.

    Statistics are taken of the tensor as it is given, in double precision. Raises `ModelError` for an operation that
    the format does not have or whose keywords make no sense.
    """
    x, axes = tensor
    for operation in operations:
        function = FUNCTIONS.get(operation.id)
        if function is None:
            raise ModelError("this operation is not supported", f"{where}: {operation.id}",
                             "choose another model, or ask the author for one without it")  # fmt: skip
        with refusing(
            FAILED, f"{where}: {operation.id}", "ask the model's author, if the image is as the model wants it"
        ):
            x = function(x, axes, dict(operation.kwargs), others)
    return x


def _dims(axes: tuple[str, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    joint = kwargs.get("axes")
    return tuple(i for i, axis in enumerate(axes) if joint is None or axis in joint)


def _along(value: Any, axes: tuple[str, ...], kwargs: Mapping[str, Any], x: torch.Tensor) -> torch.Tensor:
    """A number, or one number per entry of `kwargs["axis"]`, shaped to broadcast."""
    numbers = torch.as_tensor(value, dtype=torch.float32, device=x.device)
    if numbers.ndim == 0 or kwargs.get("axis") is None:
        return numbers.reshape(())
    return _within(numbers.reshape([-1 if axis == kwargs["axis"] else 1 for axis in axes]), x)


def _within(numbers: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`numbers`, if they do not make `x` larger; raises `ValueError`."""
    shape = (1,) * (x.ndim - numbers.ndim) + tuple(numbers.shape)
    if len(shape) > x.ndim or any(n not in (1, m) for n, m in zip(shape, x.shape, strict=True)):
        raise ValueError(f"numbers of shape {list(numbers.shape)} for a tensor of shape {list(x.shape)}")
    return numbers


def _float(x: torch.Tensor) -> torch.Tensor:
    return x if x.is_floating_point() else x.to(torch.float32)


def _mean_std(tensor: Named, kwargs: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    x, axes = tensor
    dims = _dims(axes, kwargs)
    double = x.to(torch.float64)
    return double.mean(dims, keepdim=True), double.std(dims, correction=0, keepdim=True)


def percentile(x: torch.Tensor, percent: float, dims: tuple[int, ...], step: bool = False) -> torch.Tensor:
    """The percentile over `dims`, which stay with size 1; linear between order statistics, or the lower `step`."""
    kept = [d for d in range(x.ndim) if d not in dims]
    values = x.to(torch.float64).permute(*kept, *dims).reshape(*(x.shape[d] for d in kept), -1).sort(-1).values
    count = values.shape[-1]
    rank = percent / 100 * count - 1 if step else percent / 100 * (count - 1)
    low = min(count - 1, max(0, -int(-rank // 1) if step else int(rank)))
    high = low if step else min(count - 1, low + 1)
    found = values[..., low] + (values[..., high] - values[..., low]) * (0 if step else rank - low)
    return found.reshape([1 if d in dims else x.shape[d] for d in range(x.ndim)])


def _binarize(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    return (x > _along(kwargs["threshold"], axes, kwargs, x)).to(torch.float32)


def _clip(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    dims = _dims(axes, kwargs)
    for name, limit in (("min", torch.maximum), ("max", torch.minimum)):
        bound = kwargs.get(name)
        share = kwargs.get(f"{name}_percentile")
        if bound is None and share is not None:
            bound = percentile(x, float(share), dims, step=True)
        if bound is not None:
            x = limit(x, _within(torch.as_tensor(bound, device=x.device).to(x.dtype), x))
    return x


def _ensure_dtype(x: torch.Tensor, _axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    if kwargs["dtype"] not in DTYPES:
        raise ValueError(f"no dtype {kwargs['dtype']}")
    return x.to(getattr(torch, kwargs["dtype"]))


def _scale_linear(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    gain, offset = (_along(kwargs.get(k, d), axes, kwargs, x) for k, d in (("gain", 1.0), ("offset", 0.0)))
    return _float(x) * gain + offset


def _fixed(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    mean, std = (_along(kwargs[k], axes, kwargs, x) for k in ("mean", "std"))
    return (_float(x) - mean) / (std + EPS)


def _zero_mean(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    mean, std = _mean_std((x, axes), kwargs)
    return ((x.to(torch.float64) - mean) / (std + float(kwargs.get("eps", EPS)))).to(torch.float32)


def _scale_range(
    x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], others: Mapping[str, Named]
) -> torch.Tensor:
    named = kwargs.get("reference_tensor")
    reference, there = others.get(str(named), (x, axes)) if named else (x, axes)
    dims = _dims(there, kwargs)
    low = _within(percentile(reference, float(kwargs.get("min_percentile", 0)), dims), x)
    high = _within(percentile(reference, float(kwargs.get("max_percentile", 100)), dims), x)
    return ((x.to(torch.float64) - low) / (high - low + float(kwargs.get("eps", EPS)))).to(torch.float32)


def _scale_mean_variance(
    x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], others: Mapping[str, Named]
) -> torch.Tensor:
    eps = float(kwargs.get("eps", EPS))
    mean, std = _mean_std((x, axes), kwargs)
    there_mean, there_std = (_within(n, x) for n in _mean_std(others[str(kwargs["reference_tensor"])], kwargs))
    return ((x.to(torch.float64) - mean) / (std + eps) * (there_std + eps) + there_mean).to(torch.float32)


def _sigmoid(x: torch.Tensor, _axes: tuple[str, ...], _kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    return torch.sigmoid(_float(x))


def _softmax(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
    return torch.softmax(_float(x), axes.index(str(kwargs.get("axis", "channel"))))


def _of_core(name: str) -> Callable[[torch.Tensor, tuple[str, ...], dict[str, Any], Any], torch.Tensor]:
    """An operation of the format that makes objects, as the format's own library carries it out."""

    def operation(x: torch.Tensor, axes: tuple[str, ...], kwargs: dict[str, Any], _: Any) -> torch.Tensor:
        from toolkit.registry.bioimageio.objects import labels

        return torch.from_numpy(labels(name, x.float().cpu().numpy(), axes, kwargs))

    return operation


FUNCTIONS: dict[str, Callable[[torch.Tensor, tuple[str, ...], dict[str, Any], Any], torch.Tensor]] = {
    "binarize": _binarize,
    "cellpose_flow_dynamics": _of_core("cellpose_flow_dynamics"),
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _fixed,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "stardist_postprocessing": _of_core("stardist_postprocessing"),
    "zero_mean_unit_variance": _zero_mean,
}
