"""Where arrays live: NumPy and SciPy on the CPU, CuPy on a GPU. Passed as an argument, never a global."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from toolkit.errors import UsageError


@dataclass(frozen=True)
class Backend:
    """`device` is a torch device string, "cpu" or "cuda:N"."""

    device: str = "cpu"

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def xp(self) -> Any:
        """The array module: numpy or cupy."""
        return import_module("cupy") if self.on_gpu else np

    @property
    def ndimage(self) -> Any:
        """The module of n-dimensional filters: scipy.ndimage or its CuPy twin."""
        return import_module("cupyx.scipy.ndimage" if self.on_gpu else "scipy.ndimage")

    def asarray(self, array: Any) -> Any:
        """`array` (NumPy, CuPy or a torch tensor) on this device; no copy where it is there already."""
        if hasattr(array, "detach"):
            array = array.detach()
            return self.xp.from_dlpack(array.contiguous()) if self.on_gpu else array.cpu().numpy()
        return self.xp.asarray(array)

    def to_numpy(self, array: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """`array` as NumPy in main memory."""
        if hasattr(array, "detach"):
            array = array.detach().cpu()
        return np.asarray(array.get() if hasattr(array, "get") else array)


def select(device: str = "auto") -> Backend:
    """`auto` is the first GPU that torch and CuPy both see, else the CPU.

    Raises `UsageError` for a device that is not there: nothing falls back in silence.
    """
    if device == "cpu":
        return Backend("cpu")
    name, _, number = device.partition(":")
    if name not in ("auto", "cuda") or (number and not number.isdigit()):
        raise UsageError("no such device", device, "choose auto, cpu or cuda:N")
    index = int(number or 0)
    why = _why_no_gpu(index)
    if why is None:
        return Backend(f"cuda:{index}")
    if name == "auto":
        return Backend("cpu")
    raise UsageError("this device cannot be used", f"{device}, {why}", "choose --device cpu")


def short(backend: Backend) -> bool:
    """Whether numbers of 16 bits are computed faster than those of 32: a CPU without instructions for them emulates
    them, and takes 2.4 times as long."""
    import torch

    return backend.on_gpu or bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _why_no_gpu(index: int) -> str | None:
    """Why GPU `index` cannot be used, or None if it can."""
    import torch

    if not torch.cuda.is_available():
        return "torch sees no GPU"
    if index >= torch.cuda.device_count():
        return f"torch sees {torch.cuda.device_count()} GPU(s)"
    try:
        import_module("cupy").cuda.Device(index).compute_capability  # noqa: B018  (the look-up is the test)
    except ImportError:
        return "CuPy is not installed (pip install cupy-cuda13x)"
    except RuntimeError as error:
        return f"CuPy cannot use it ({error})"
    return None
