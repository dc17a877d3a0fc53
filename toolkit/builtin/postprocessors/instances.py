"""Objects from models whose outputs are objects already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from toolkit.gpu.backend import Backend
from toolkit.plugins.gathering import need
from toolkit.plugins.passes import Pass
from toolkit.plugins.specs import PostProcessor
from toolkit.steps.stitch import stitch
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction

CHANNEL = "channel"


class AsInstances(PostProcessor):
    """Labels of each window, of head `instances`: a channel is a kind of object, and kinds may overlap.

    In one window the objects are the model's own. Between windows they are stitched, each kind by itself: two are one
    where they are the same in most of what both windows see. Attribute `class` says of which channel an object is.
    """

    kind: Literal["instances"] = "instances"
    title: ClassVar[str] = "objects as the model gives them"
    exact: ClassVar[bool] = True
    overlaps: ClassVar[bool] = True
    names: tuple[str, ...] = ()
    """What the channels are, such as nuclei and cells."""
    only: str = ""
    """The channel whose objects are wanted, by its name; empty: all."""

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        need(heads, {"instances": None}, self.kind)
        if self.only and self.only not in self.names:
            raise ValueError(f"there is no channel {self.only}: choose one of {', '.join(self.names) or 'none'}")

    def stitched(self, windows: int, blocks: int) -> bool:
        return windows > 1

    def holds(self) -> float:
        return 8

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Fragment:
        """The objects of the whole window: what lies beyond its core tells which of its neighbours they are."""
        return Fragment(self._seen(prediction, backend), prediction.box, prediction.core, prediction.shape)

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        return self._named([self._seen(prediction, backend)])

    def passes(self) -> tuple[Pass, ...]:
        def local(piece: Fragment, state: None, backend: Backend) -> Fragment:
            return piece

        def reduce(fragments: Iterable[Fragment], state: None, backend: Backend) -> Instances:
            found = list(fragments)
            kinds = sorted({int(kind) for f in found for kind in f.instances.attributes[CHANNEL]})
            return self._named([stitch([_of(f, kind) for f in found]) for kind in kinds or [0]])

        return (Pass(local, reduce, Fragment, gathers=True),)

    def _seen(self, prediction: Prediction, backend: Backend) -> Instances:
        """The objects of each wanted channel, told apart by the attribute `channel`."""
        labels = np.rint(backend.to_numpy(prediction["instances"])).astype(np.int64)
        wanted = [self.names.index(self.only)] if self.only else range(len(labels))
        parts = [Instances.from_labels(labels[kind]) for kind in wanted]
        said = [np.full(len(part), kind, np.int32) for kind, part in zip(wanted, parts, strict=True)]
        parts = [replace(part, attributes={CHANNEL: one}) for part, one in zip(parts, said, strict=True)]
        found = Instances.concatenate(prediction.box.shape, parts)
        # What no object says of itself is said of no kind of object, too.
        return found if len(found) else replace(found, attributes={CHANNEL: np.zeros(0, np.int32)})

    def _named(self, kinds: list[Instances]) -> Instances:
        """All objects, with the names of their channels."""
        found = Instances.concatenate(kinds[0].shape, kinds)
        channel = found.attributes.get(CHANNEL, np.zeros(0, np.int32))
        names = [self.names[kind] if self.names else str(kind) for kind in channel]
        return replace(found, attributes={"class": np.array(names, str)})


def _of(fragment: Fragment, kind: int) -> Fragment:
    """The objects of one channel."""
    found = fragment.instances
    return replace(fragment, instances=found.select(found.attributes[CHANNEL] == kind))
