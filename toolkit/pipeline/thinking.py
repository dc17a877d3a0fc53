"""What a method thought of an image, in voxels of the image: for people to look at, after the objects are found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError, nearest
from toolkit.pipeline.noted import NOTED, noted, taken
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.plugins import seams
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.thought import Marks
from toolkit.values.tiles import Box

GENERAL = (*NOTED, "scores")
"""What is told of every method."""
MOST = 2**27
"""Voxels of the largest image of which thoughts are told: they are in memory as a whole."""


@dataclass(frozen=True, eq=False)
class Thoughts:
    """Fields `(C, *shape)` and marks by name, and sentences about what could not be told."""

    fields: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    marks: Mapping[str, Marks] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def known(names: Sequence[str], postprocess: PostProcessor, catalogue: Catalogue) -> None:
    """Raise `UsageError` for a name that no installed method tells, and where this one tells none of those given."""
    can = told(postprocess)
    if not (others := [name for name in names if name not in can]):
        return
    specs = catalogue.collect("postprocessors").values()
    every = {*can, *(name for spec in specs for name in spec.shows)}
    for name in others:
        if name not in every:
            raise UsageError("no method tells this", f"--show {name}", nearest(name, every))
    if len(others) == len(names):
        raise UsageError(f"method {postprocess.kind} does not tell this", f"--show {','.join(names)}",
                         f"it tells {', '.join(can)}")  # fmt: skip


def told(postprocess: PostProcessor) -> tuple[str, ...]:
    """What may be asked of this method."""
    return tuple(dict.fromkeys((*GENERAL, *postprocess.shows)))


def thoughts(session: Session, here: Prepared, pieces: Pieces, objects: Instances, wanted: Collection[str]) -> Thoughts:
    """What is `wanted` of an image whose `objects` were made of `pieces`."""
    if prod(objects.shape) > MOST or here.scale.constant:
        why = "there is nothing to see" if here.scale.constant else f"it has more than {MOST >> 20} M voxels"
        return Thoughts(notes=(f"what the method thought is not told of this image: {why}",))
    fields, marks, notes = dict[str, NDArray[Any]](), dict[str, Marks](), list[str]()
    postprocess, grid = session.model.recipe.postprocess, _Grid.of(here, pieces)
    can = told(postprocess)
    if silent := [name for name in wanted if name not in can]:
        notes.append(f"method {postprocess.kind} has no {' and no '.join(silent)} to show; it has {', '.join(can)}")
    if {*NOTED} & {*wanted}:
        for name, values in _heads(session, here, pieces, wanted).items():
            fields[name] = grid.field(values)
        if "entropy" in wanted and "entropy" not in fields:
            notes.append("no head of this model is a probability, so it has no entropy")
    if "scores" in wanted:
        fields["scores"] = _painted(objects)
    if own := {*wanted} & {*postprocess.shows}:
        box = Box.whole(pieces.shape)
        with seams.calling(postprocess, "thoughts"):
            found: Any = postprocess.thoughts(pieces.read(box, box), session.backend, own)
        for name, one in seams.thoughts(found, pieces.shape, postprocess).items():
            if name not in own:
                continue
            if isinstance(one, Marks):
                marks[name] = grid.marks(one)
            else:
                fields[name] = grid.field(one)
        if unmade := sorted(own - {*fields, *marks}):
            notes.append(f"method {postprocess.kind} makes no {' and no '.join(unmade)} as it is set here")
    return Thoughts({name: v.astype(np.float16) for name, v in fields.items()}, marks, tuple(notes))


def together(frames: Sequence[Thoughts]) -> Thoughts:
    """Those of the frames of a time series, which is an axis before space."""
    if len(frames) == 1:
        return frames[0]
    fields = {
        name: np.stack([f.fields[name] for f in frames], axis=1)
        for name in frames[0].fields if all(name in f.fields for f in frames)
    }  # fmt: skip
    marks = {name: _stacked([f.marks.get(name) for f in frames]) for name in frames[0].marks}
    return Thoughts(fields, marks, tuple(dict.fromkeys(note for f in frames for note in f.notes)))


def _stacked(parts: Sequence[Marks | None]) -> Marks:
    some = [(number, part) for number, part in enumerate(parts) if part is not None]
    kind = some[0][1].kind
    rows = []
    for number, part in some:
        row = part.rows()
        ndim = part.places.shape[1]
        row = np.insert(row, 0, number, axis=1)
        rows.append(row if kind == "points" else np.insert(row, ndim + 1, number if kind == "lines" else 0.5, axis=1))
    return Marks.of_rows(kind, np.concatenate(rows))


@dataclass(frozen=True)
class _Grid:
    """From voxels that the network saw to those of the image of `shape`: `by` of the former for one of the latter."""

    shape: tuple[int, ...]
    by: tuple[float, ...]

    @classmethod
    def of(cls, here: Prepared, pieces: Pieces) -> _Grid:
        assert pieces.origin is not None, "a session makes pieces with their origin"
        finer = here.by or (1.0,) * len(here.shape)
        return cls(here.shape, tuple(b / s for b, s in zip(finer, pieces.origin.shrink, strict=True)))

    def field(self, values: NDArray[Any]) -> NDArray[Any]:
        """A field: each voxel takes what was seen at its centre."""
        for axis, (n, by) in enumerate(zip(self.shape, self.by, strict=True), start=1):
            if by != 1:
                index = np.floor((np.arange(n) + 0.5) * by).astype(np.int64)
                values = np.take(values, index.clip(0, values.shape[axis] - 1), axis)
        return values

    def marks(self, found: Marks) -> Marks:
        by = np.array(self.by)
        places, others = (found.places + 0.5) / by - 0.5, found.others
        if found.kind == "lines":
            others = (others + 0.5) / by - 0.5
        elif found.kind == "ellipses":
            others = others / by
        return replace(found, places=places, others=others)


def _heads(session: Session, here: Prepared, pieces: Pieces, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """The fields `(C, *S)` of what was noted of the heads; windows of which nothing was are predicted once more."""
    notes = {n: here.noted.get(n) or taken(pieces.folder, n) for n in range(len(pieces.windows))}
    missing = [number for number, note in notes.items() if note is None]
    again = session.predictor.windows(here.image, here.scale, [pieces.windows[number] for number in missing])
    made = (noted(seen, session.model.heads, wanted, session.backend) for seen in again)
    out: dict[str, NDArray[Any]] = {}
    for note in (known or next(made) for known in notes.values()):
        for name, values in note.heads.items():
            field = out.setdefault(name, np.zeros((len(values), *here.image.shape), np.float16))
            field[(slice(None), *note.box.slices)] = values
    return out


def _painted(objects: Instances) -> NDArray[Any]:
    """The score of the object at each voxel, of several the highest; 0 where there is none."""
    return np.asarray(np.concatenate([np.zeros(1, np.float32), objects.scores])[objects.to_labels()][None])
