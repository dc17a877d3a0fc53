"""The part of a model's preprocessing that brings intensities to what it has learnt, as one fit per image."""

from __future__ import annotations

from toolkit.registry.bioimageio.description import Operation, Tensor
from toolkit.steps.normalise import Normalise

STATISTICS = ("zero_mean_unit_variance", "scale_range", "scale_mean_variance")


def normalised(source: Tensor) -> tuple[Normalise, tuple[Operation, ...], tuple[str, ...]]:
    """The part of the preprocessing that one fit per image can do, what is left of it, and what to tell the user."""
    nothing = Normalise(kind="none")
    statistics = [i for i, o in enumerate(source.operations) if _needs_statistics(o)]
    if not statistics:
        return nothing, source.operations, ()
    first = statistics[0]
    kind = _as_normalise(source.operations[first], source)
    # Operations before it that scale all voxels alike change nothing about the result.
    if kind is not None and len(statistics) == 1 and all(map(_harmless, source.operations[:first])):
        return kind, source.operations[first + 1 :], ()
    return nothing, source.operations, ("intensities are normalised in each window, as the model describes it",)


def _needs_statistics(operation: Operation) -> bool:
    return operation.id in STATISTICS or any("percentile" in key for key in operation.kwargs)


def _as_normalise(operation: Operation, source: Tensor) -> Normalise | None:
    kwargs = operation.kwargs
    joint = set(source.ids) if kwargs.get("axes") is None else set(kwargs["axes"])
    alone = len(source.channels) <= 1
    if not joint >= set(source.space) or (not alone and "channel" in joint) or kwargs.get("reference_tensor"):
        return None
    if operation.id == "zero_mean_unit_variance":
        return Normalise(kind="mean_std")
    if operation.id == "scale_range":
        low, high = float(kwargs.get("min_percentile", 0)), float(kwargs.get("max_percentile", 100))
        return Normalise(kind="percentile", low=low, high=high, clip=None)
    return None


def _harmless(operation: Operation) -> bool:
    if operation.id == "ensure_dtype":
        return str(operation.kwargs.get("dtype", "")).startswith("float")
    gain = operation.kwargs.get("gain", 1.0)
    return operation.id == "scale_linear" and isinstance(gain, (int, float)) and gain > 0
