"""Where values of plugins enter the core: what they return is looked at, and what goes wrong in them names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from toolkit.errors import PluginError, ToolkitError
from toolkit.plugins.lacking import lacking_in
from toolkit.values.attributes import wrong
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.piece import Piece, form
from toolkit.values.prediction import Head, Prediction
from toolkit.values.thought import Marks, Thought
from toolkit.values.voxels import Voxels

if TYPE_CHECKING:
    import torch

NUMBERS = "biuf"
"""Kinds of numbers that a target, or a value of a voxel, may have: bool, integers, real numbers."""


class Named(Protocol):
    """A spec, as far as its faults are told."""

    @property
    def kind(self) -> str:
        """Its name."""


@contextmanager
def calling(spec: Named, verb: str) -> Iterator[None]:
    """Around a call of a verb of a spec: an exception that is not a sentence becomes one that names the spec."""
    try:
        yield
    except (ToolkitError, MemoryError, OSError):
        raise
    # Whatever the code of a plugin raises, sys.exit included, is its fault, which must not end the work of others.
    except (Exception, SystemExit) as error:
        if _exhausted(error):
            raise
        cure = "raise an error" if isinstance(error, SystemExit) else "see seg --traceback, and seg plugins check"
        raise PluginError(
            f"{spec.kind} failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
            _where(spec, verb),
            lacking_in(type(spec).__module__, error) or cure,
        ) from error


def fault(spec: Named, verb: str, wrong: str, cure: str) -> PluginError:
    """What `verb` of `spec` returned is wrong."""
    return PluginError(f"{spec.kind}: {wrong}", _where(spec, verb), cure)


def instances(found: Any, shape: tuple[int, ...], spec: Named, verb: str) -> Instances:
    """What should be instances of an image or block of `shape`."""
    _objects(found, Instances, shape, spec, verb)
    whole: Instances = found
    return whole


def joined(found: Any, shape: tuple[int, ...], spec: Named, verb: str) -> Joined:
    """What should say how the parts of an image of `shape` belong together."""
    _objects(found, Joined, shape, spec, verb)
    table: Joined = found
    return table


def _objects(found: Any, kind: type[Any], shape: tuple[int, ...], spec: Named, verb: str) -> None:
    if isinstance(found, kind) and found.shape == shape:
        if not ((found.scores >= 0) & (found.scores <= 1)).all():
            raise fault(spec, verb, "a score is no number from 0 to 1", "give probabilities, or leave the scores out")
        if odd := wrong(found.attributes, len(found)):
            raise fault(spec, verb, odd, "give one entry per object, in the order of labels")
        return
    got, cure = f"but {type(found).__name__}", "did you mean Instances.from_labels(…)?"
    if isinstance(found, Instances):
        got, cure = f"of shape {found.shape}", "fill the whole block"
    elif isinstance(found, np.ndarray):
        got = f"but an array, {found.dtype} of shape {found.shape}"
        cure = "number the pieces of a mask first: scipy.ndimage.label(mask)[0]" if found.dtype == bool else cure
    raise fault(spec, verb, f"it gives no Instances of shape {shape}, {got}", cure)


def piece(found: Any, seen: Prediction, spec: Named, like: Piece | None = None) -> Piece:
    """What should be kept of the core of a window, in the form of `like`, that of another window; its arrays are
    read-only from here on."""
    odd = ""
    if not isinstance(found, Prediction | Voxels | Fragment):
        odd = f"it is a {type(found).__name__}, not a Prediction, Voxels or a Fragment"
    elif found.box != seen.core or found.shape != seen.shape:
        odd = f"it is of box {found.box} in an image of {found.shape}, the core of the window is {seen.core}"
    elif isinstance(found, Prediction):
        bad = {n: tuple(h.shape) for n, h in found.heads.items() if tuple(h.shape[1:]) != seen.core.shape}
        odd = f"its heads have the shapes {bad}, the core of the window has {seen.core.shape}" if bad else ""
        wide = {n: str(h.dtype) for n, h in found.heads.items() if h.dtype != np.float32}
        odd = odd or (f"its heads are {wide}, not float32" if wide else "")
        odd = odd or ("" if found.heads else "it has no heads")
    elif isinstance(found, Fragment):
        odd = "" if found.outer == seen.box else f"it is of {found.outer}, and the window is {seen.box}"
        instances(found.instances, found.outer.shape, spec, "keep")
    elif not found.sound():
        odd = "its runs are not in raster order, or not in the core of the window"
    else:
        sizes = {n: len(v) for n, v in found.values.items() if len(v) != len(found)}
        odd = f"it has {len(found)} voxels, and values of {sizes}" if sizes else ""
        other = {n: str(v.dtype) for n, v in found.values.items() if v.dtype.kind not in NUMBERS or v.itemsize > 8}
        odd = odd or (f"its values are {other}, not numbers that a file can hold" if other else "")
    if not odd and like is not None and (type(found), form(found)) != (type(like), form(like)):
        odd = f"it is a {type(found).__name__} with {form(found)}, of another window a {type(like).__name__} with "
        odd += str(form(like))
    if odd:
        cure = "keep prediction.crop(prediction.core), or Voxels.of(…) there"
        raise fault(spec, "keep", f"what it keeps is no piece of its window: {odd}", cure)
    sealed(found)
    kept: Piece = found
    return kept


def halo(spec: Any, ndim: int) -> tuple[int, ...]:
    """The halo of a post-processor: whole voxels per axis."""
    with calling(spec, "halo"):
        found = tuple(spec.halo(ndim))
    if len(found) != ndim or not all(isinstance(n, int | np.integer) and n >= 0 for n in found):
        raise fault(spec, "halo", f"its halo is {found}", f"give {ndim} whole numbers of voxels, one per axis")
    return found


def told(found: Any, cls: type[Any] | None, spec: Named, verb: str) -> Any:
    """What should be a fragment or a state of the class that its pass names, if it names one."""
    if cls is not None and not isinstance(found, cls):
        wrong = f"it gives a {type(found).__name__}, and its Pass says {cls.__name__}"
        raise fault(spec, verb, wrong, "name the class of what it gives, see Pass")
    return found


def module(found: Any, spec: Named) -> torch.nn.Module:
    """What should be a network of torch."""
    import torch

    if not isinstance(found, torch.nn.Module):
        raise fault(spec, "build", f"it gives a {type(found).__name__}", "return a torch.nn.Module")
    return found


def thoughts(found: Any, shape: tuple[int, ...], spec: Named) -> dict[str, Thought]:
    """What should be fields over an image of `shape` and marks on it, by name."""
    verb, cure = "thoughts", "give {name: field (C, *shape) or Marks}, of the names in `shows`"
    if not isinstance(found, Mapping):
        raise fault(spec, verb, f"it gives a {type(found).__name__}", cure)
    for name, one in found.items():
        marks = isinstance(one, Marks)
        numbers = one.rows() if marks else one
        if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in NUMBERS:
            raise fault(spec, verb, f"{name} is a {type(one).__name__}", cure)
        if (one.places.shape[1:] != (len(shape),)) if marks else (numbers.shape[1:] != shape):
            raise fault(spec, verb, f"{name} is none of an image of shape {shape}", cure)
    return dict(found)


def sealed(given: Piece) -> None:
    """Make the arrays of a piece that lie in main memory read-only: whoever writes into them hears of it at once."""
    arrays = given.heads if isinstance(given, Prediction) else given.arrays()
    for array in arrays.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


def raw(found: Any, heads: Sequence[Head], window: tuple[int, ...], spec: Named) -> None:
    """The outputs of a network on windows `(B, …, *window)`: every head, with its channels."""
    if not isinstance(found, Mapping):
        raise fault(spec, "build", f"its module gives a {type(found).__name__}", "give {head.name: (B, channels, *S)}")
    for head in heads:
        if head.name not in found:
            has = ", ".join(map(str, found)) or "nothing"
            raise fault(spec, "build", f"its module gives no head {head.name}", f"it gives {has}")
        shape = getattr(found[head.name], "shape", None)
        if shape is None:  # a lazy head: its rows are looked at where they are asked for
            continue
        if tuple(shape[1:]) != (head.channels, *window):
            raise fault(
                spec, "build", f"its module gives head {head.name} of shape {tuple(shape)}",
                f"give (B, {head.channels}, {', '.join(map(str, window))})",
            )  # fmt: skip


def heads(found: Any, spec: Named) -> Sequence[Head]:
    """The heads that a loss asks for."""
    if isinstance(found, Sequence) and all(isinstance(head, Head) for head in found):
        return found
    raise fault(spec, "heads", f"it gives a {type(found).__name__}", "give heads in a tuple: return (Head(…),)")


def terms(found: Any, spec: Named) -> Mapping[str, Any]:
    """The terms of a loss: a number each, which a gradient may lead back from."""
    if not isinstance(found, Mapping):
        cure = "give its terms by name: {'foreground': …}"
        raise fault(spec, "build", f"its module gives a {type(found).__name__}", cure)
    for name, term in found.items():
        if not hasattr(term, "requires_grad"):
            cure = "leave out .item() and float(): no gradient leads back from what they give"
            raise fault(spec, "build", f"its term {name} is a {type(term).__name__}", cure)
        if len(term.shape):
            cure = "give one number: its mean over what is known"
            raise fault(spec, "build", f"its term {name} has shape {tuple(term.shape)}", cure)
    return found


def targets(found: Any, spec: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """The targets of a loss for a crop of `shape`: named arrays of numbers; those that have the name of a head, and
    others whose axes are those of the crop in another order, are `(C, *shape)`."""
    if not isinstance(found, Mapping):
        raise fault(spec, "targets", f"it gives a {type(found).__name__}", "give {name: array}")
    for name, array in found.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise fault(spec, "targets", f"{name!r} is a {type(array).__name__}", "give NumPy arrays by name")
        if array.dtype.kind not in NUMBERS or array.dtype == np.float64:
            raise fault(spec, "targets", f"{name} has dtype {array.dtype}", "give float32, integers or bool")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise fault(spec, "targets", f"{name} is not finite everywhere", "mark what is unknown by a mask")
        ndim = len(shape)
        head, last = name in {head.name for head in heads(spec.heads(ndim), spec)}, array.shape[-ndim:]
        if (last != shape or array.ndim != ndim + 1) if head else sorted(last) == sorted(shape) and last != shape:
            of = "the target of head " * head + f"{name} has shape {array.shape}"
            raise fault(
                spec, "targets", f"{of}, and the crop {shape}", f"give (channels, {', '.join(map(str, shape))})"
            )
    return dict(found)


def _where(spec: Named, verb: str) -> str:
    return ".".join(filter(None, (type(spec).__module__, type(spec).__name__, verb)))


def _exhausted(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
