"""What to do where something needs a GPU and there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from toolkit.errors import UsageError
from toolkit.gpu.backend import Backend

SAID = ("NVIDIA driver", "not compiled with CUDA", "no CUDA-capable device", "cudaErrorNoDevice")
"""What torch and CuPy say where there is none."""
CURE = "it needs a GPU that torch and CuPy see; seg doctor says what is missing here"


class Placed(Protocol):
    """A spec, as far as it matters where it works."""

    needs_gpu: ClassVar[bool]

    @property
    def kind(self) -> str:
        """Its name."""


def cure(error: BaseException) -> str | None:
    """What to do if `error` is that there is no GPU; None for other errors."""
    missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("cupy", "cupyx")
    return CURE if missing or any(text in str(error) for text in SAID) else None


def served(specs: Iterable[Placed], backend: Backend) -> None:
    """Raise `UsageError` if one of the specs works on a GPU alone and `backend` is none."""
    for spec in specs:
        if spec.needs_gpu and not backend.on_gpu:
            raise UsageError(f"{spec.kind} does not work on this device", backend.device, CURE)
