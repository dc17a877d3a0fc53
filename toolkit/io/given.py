"""What Python is given for an image: an array that gives voxels by slices, or else a sentence."""

from __future__ import annotations

from pathlib import Path
from types import GeneratorType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.computed import Computed
from toolkit.io.raster import foreign

NAME = "array"
"""What an array is called, which has no name of its own."""
WANTED = "give a path, an array of NumPy, Zarr, dask or xarray, an Image, or a list of them"


def voxels_of(thing: Any) -> Any:
    """NumPy, or something lazy with `shape`, `dtype` and slices. Raises `InputError` for what is no array of numbers,
    and for one of which a part is masked, whose mask nobody here would heed."""
    if isinstance(thing, list | tuple):
        return _of_list(thing)
    if hasattr(thing, "data_vars"):
        names = ", ".join(map(repr, thing.data_vars)) or "nothing"
        raise InputError(f"a Dataset of xarray is no image, it holds {names}", do="give one of its arrays by its name")
    if isinstance(getattr(thing, "_meta", thing), np.ma.MaskedArray):
        if hasattr(thing, "_meta") or np.ma.is_masked(thing):
            do = "fill it, such as with numpy.ma.filled(array, 0), or cut out what counts"
            raise InputError("a part of this array is masked, and masks are not heeded", NAME, do)
        return np.asarray(thing.data)
    if hasattr(thing, "compute") and hasattr(thing, "dtype") and hasattr(thing, "shape"):
        return Computed(thing, Path(NAME))
    if hasattr(thing, "chunks") and hasattr(thing, "shape"):
        return thing
    if hasattr(thing, "detach") and hasattr(thing, "cpu"):
        return _of_tensor(thing)
    if not (hasattr(thing, "__array__") or hasattr(thing, "__array_interface__") or isinstance(thing, memoryview)):
        raise refused(thing)
    with foreign(Path(NAME)):
        return np.asarray(thing)


def refused(thing: Any, where: str = "") -> InputError:
    """The sentence about something that is no image; `where` it stands, if in a list."""
    return InputError(f"{_said(thing)} is no image", where, WANTED)


def _said(thing: Any) -> str:
    if thing is None:
        return "None"
    if isinstance(thing, GeneratorType):
        return "a generator"
    if hasattr(thing, "read") and hasattr(thing, "close"):
        return "an open file"
    name = type(thing).__name__
    return name if name.endswith("s") else f"a{'n' * (name[0] in 'aeiouAEIOU')} {name}"


def _of_list(rows: Any) -> NDArray[Any]:
    """Numbers in lists of equal length."""
    try:
        array = np.asarray(rows)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError("the rows of this list are not equally long, or no numbers", do=WANTED) from error
    if array.dtype.kind not in "buif":
        raise InputError("this list holds something else than numbers and images", do=WANTED)
    return array


def _of_tensor(tensor: Any) -> NDArray[Any]:
    """A tensor of torch, without what it learns by; bfloat16, which NumPy lacks, fits into float32."""
    with foreign(Path(NAME)):
        plain = tensor.detach().cpu()
        return np.asarray((plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).numpy())
