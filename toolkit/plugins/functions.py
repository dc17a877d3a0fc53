"""Simple things simple: a post-processor or a metric as a function."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from numbers import Real
from typing import Any, ClassVar, Literal, TypeVar, get_type_hints

import numpy as np
from pydantic import PydanticSchemaGenerationError, TypeAdapter, create_model

from toolkit.errors import PluginError, nearest
from toolkit.gpu.backend import Backend
from toolkit.plugins import seams
from toolkit.plugins.gathering import need
from toolkit.plugins.metric import Counts, Metric
from toolkit.plugins.passes import Pass
from toolkit.plugins.specs import PostProcessor, Spec
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

S = TypeVar("S", bound=Spec)
ITSELF = ""
"""The verb of a function."""
VOXEL_SIZE = "voxel_size"
"""A parameter that is no field: whoever has it is told, in micrometres per axis."""


class FunctionPostProcessor(PostProcessor):
    """A post-processor that was written as a function."""

    needs: ClassVar[Mapping[str, int | None]] = {}
    reach: ClassVar[int | tuple[int, ...] | None] = 0
    wants: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def function(heads: Any, **fields: Any) -> Any:
        """What the author wrote."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, self.needs, self.kind)

    def halo(self, ndim: int) -> tuple[int, ...]:
        if isinstance(self.reach, tuple):
            return (0,) * (ndim - len(self.reach)) + self.reach
        return (self.reach or 0,) * ndim

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        named = {name: backend.to_numpy(prediction[name]).view() for name in self.needs or prediction.heads}
        heads = Heads(self, named)
        for head in heads.values():
            head.flags.writeable = False
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "kind"}
        if self.wants:
            fields[VOXEL_SIZE] = prediction.voxel_size
        with seams.calling(self, ITSELF):
            found = type(self).function(heads, **fields)
        if isinstance(found, Instances):
            return found
        if odd := _no_labels(found, prediction.box.shape):
            raise seams.fault(self, ITSELF, *odd)
        return Instances.from_labels(found)

    def passes(self) -> tuple[Pass, ...]:
        if self.reach is not None:
            return super().passes()

        def local(piece: Prediction, state: None, backend: Backend) -> Prediction:
            return piece

        def reduce(parts: Iterator[Prediction], state: None, backend: Backend) -> Instances:
            found = list(parts)
            whole = Box.whole(found[0].shape)
            return self.assemble(Prediction.join(found, whole, whole, backend.xp), backend)

        return (Pass(local, reduce, Prediction, gathers=True),)


class Heads(dict[str, Any]):
    """Heads by name; a function that reads another one is told what to do."""

    def __init__(self, spec: FunctionPostProcessor, heads: Mapping[str, Any]) -> None:
        super().__init__(heads)
        self._spec = spec

    def __missing__(self, name: str) -> Any:
        wrong = f"it reads a head {name}, and needs {', '.join(self)}"
        cure = f"{nearest(name, self)}; or name it in needs: {{{name!r}: channels}}"
        raise seams.fault(self._spec, ITSELF, wrong, cure)


def _no_labels(found: Any, shape: tuple[int, ...]) -> tuple[str, str] | None:
    """What is wrong with labels for heads of `shape`, and what to do; None where they are labels."""
    if not isinstance(found, np.ndarray):
        gives = "nothing" if found is None else f"a {type(found).__name__}"
        if isinstance(found, tuple) and found and isinstance(found[0], np.ndarray):
            return f"it gives {gives}", "return its labels alone: label(…)[0]"
        return f"it gives {gives}", f"return labels, integers of shape {shape} in which 0 is background, or Instances"
    gives = f"{found.dtype} of shape {found.shape}"
    if found.shape != shape:
        return f"it gives {gives}, and the heads are of {shape}", "give one label per voxel, in the order of its axes"
    if found.dtype == bool:
        return f"it gives a mask, {gives}", "number its pieces: return scipy.ndimage.label(mask)[0]"
    if found.dtype.kind not in "iu":
        return f"it gives {gives}", 'labels are integers: return labels.astype("int32")'
    if found.min(initial=0) < 0:
        return f"it gives labels down to {found.min()}", "0 is background, and objects begin with 1"
    if found.max(initial=0) == np.iinfo(found.dtype).max:
        return f"{found.dtype} holds no label greater than {found.max()}, and it is reached", "return int32"
    return None


def postprocessor(
    kind: str,
    *,
    needs: Mapping[str, int | None],
    halo: int | tuple[int, ...] | None = 0,
    overlaps: bool = False,
    title: str = "",
    citation: str = "",
    aliases: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], type[PostProcessor]]:
    """A function `(heads, **fields) -> labels or Instances` as a post-processor.

    `heads[name]` is `(C, (Z)YX)`, float32, activated, read-only; `needs` says which there must be, with how many
    channels (None: any). Parameters after it are the fields, with types, `Search` ranges and defaults; one called
    `voxel_size` gets micrometres per axis. Labels are integers `(Z)YX`, 0 is background; objects that overlap or have
    scores or attributes are `Instances`. `halo`: voxels around a block that it needs, blocks are stitched; None: it
    needs the whole image, which then is in memory.
    """

    def made(function: Callable[..., Any]) -> type[PostProcessor]:
        if not isinstance(needs, Mapping):
            raise PluginError("needs is no dictionary", f"{function.__name__}({needs!r})", "write {'foreground': 1}")
        about = {"needs": dict(needs), "reach": halo, "exact": halo is None, "overlaps": overlaps, "title": title}
        more = {"citation": citation, "aliases": tuple(aliases), "wants": VOXEL_SIZE in _parameters(function, 1)}
        return _spec(FunctionPostProcessor, kind, function, 1, {**about, **more})  # type: ignore[type-abstract]

    return made


class FunctionMetric(Metric):
    """A metric that was written as a function."""

    @staticmethod
    @abstractmethod
    def function(truth: Truth, predicted: Instances, **fields: Any) -> Any:
        """What the author wrote."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "kind"}
        with seams.calling(self, ITSELF):
            found = type(self).function(truth, predicted, **fields)
        if not isinstance(found, Mapping) or not all(isinstance(value, Real) for value in found.values()):
            gives = found if isinstance(found, Mapping) else type(found).__name__
            raise seams.fault(self, ITSELF, f"it gives {gives}", "give {name: number}, NaN where an image has no value")
        return {name: float(value) for name, value in found.items()}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        def mean(name: str) -> float:
            known = [c[name] for c in counts if isfinite(c[name])]
            return float(np.mean(known)) if known else float("nan")

        return {name: mean(name) for name in counts[0]}


def metric(kind: str, *, lower_is_better: Sequence[str] = ()) -> Callable[[Callable[..., Any]], type[Metric]]:
    """A function `(truth, predicted, **fields) -> {name: value}` of one image as a metric: the mean over images.

    `truth` is a `Truth`, `predicted` are `Instances`. Where an image has no value it is NaN and does not count.
    """

    def made(function: Callable[..., Any]) -> type[Metric]:
        return _spec(FunctionMetric, kind, function, 2, {"lower_is_better": tuple(lower_is_better)})  # type: ignore[type-abstract]

    return made


def _parameters(function: Callable[..., Any], first: int) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(function).parameters.items())[first:])


def _spec(base: type[S], kind: str, function: Callable[..., Any], first: int, about: Mapping[str, Any]) -> type[S]:
    """A class like `base` whose fields are the parameters of `function` from the `first` on."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in _parameters(function, first).items():
        if name == VOXEL_SIZE:
            continue
        if name not in hints:
            raise PluginError("a parameter has no type", f"{function.__name__}({name})", f"write {name}: float = …")
        if hasattr(base, name) or name in base.model_fields:
            raise PluginError("a parameter has a name that means something else", f"{function.__name__}({name})",
                              "rename it")  # fmt: skip
        fields[name] = (hints[name], ... if parameter.default is parameter.empty else parameter.default)
    kinds: Any = Literal[kind]
    try:
        spec: Any = create_model(
            function.__name__, __base__=base, __module__=function.__module__, __doc__=function.__doc__,
            kind=(kinds, kind), **fields,
        )  # fmt: skip
    except PydanticSchemaGenerationError as error:
        wrong = next((name for name, (hint, _) in fields.items() if not _writable(hint)), "")
        raise PluginError("a parameter has a type that no recipe can hold", f"{function.__name__}({wrong})",
                          "fields are numbers, texts, true or false, and tuples of these") from error  # fmt: skip
    for name, value in {**about, "function": staticmethod(function)}.items():
        setattr(spec, name, value)
    # Under its own name the function is this class: that is where pickles look for it.
    spec.__qualname__ = function.__qualname__
    spec.__abstractmethods__ = frozenset()
    return spec  # type: ignore[no-any-return]


def _writable(hint: Any) -> bool:
    """Whether a field may have this type."""
    try:
        TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return False
    return True
