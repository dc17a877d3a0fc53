"""What Python is given for an image: its objects, which know the image that they are of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import UsageError
from toolkit.pipeline.argued import argued
from toolkit.pipeline.origin import returned
from toolkit.pipeline.remarks import Unread, cubes, ground, nothing, vanished
from toolkit.pipeline.session import Session
from toolkit.pipeline.sized import rescaling
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.sizes import Diameter
from toolkit.values.frames import frame, stack
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import whole

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Result(Instances):
    """Objects of `images`, which are the frames of a time series, else one image. `notes` say what was assumed of
    them, such as their axes, and what could not be read or kept."""

    images: tuple[Image, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, instances: Instances, images: Sequence[Image], notes: Sequence[str] = ()) -> Result:
        parts = {f.name: getattr(instances, f.name) for f in fields(Instances)}
        return cls(**parts, images=tuple(images), notes=tuple(notes))

    def table(self, features: Sequence[str] = ()) -> Any:
        """One row per object: place, size, intensities (`steps.measure`); `features` may add "shape" and "intensity".

        A pandas DataFrame if pandas is installed, else columns by name.
        """
        table = self._measured(features)
        if find_spec("pandas") is None:
            return table
        from pandas import DataFrame

        return DataFrame(dict(table))

    def save(self, folder: str | Path, features: Sequence[str] = ()) -> tuple[Path, ...]:
        """Write labels, objects, table and overlay into `folder`, as `seg run` does; gives their paths."""
        first = self.images[0]
        return io.write(folder, first.name, self, first, self._measured(features), first)

    def _measured(self, features: Sequence[str]) -> Table:
        if wrong := {*features} - {"shape", "intensity"}:
            raise UsageError("no such features", f"{sorted(wrong)[0]}", "choose of shape and intensity")
        if len(self.images) == 1:
            return measure(self, self.images[0], features)
        return joined([measure(frame(self, t), image, features) for t, image in enumerate(self.images)])


def segmented(
    session: Session, images: Sequence[Image], diameter: Diameter, block: int | None = None, said: str = ""
) -> Result:
    """The objects of an image, or of the frames of a time series. Its notes, the first of which was `said` before, are
    also logged."""
    parts, scale, lost, unread = list[Instances](), None, 0, list[Unread]()
    recipe = session.model.recipe
    sized, prepared = rescaling(session, images[0], diameter)
    for number, image in enumerate(images):
        prepared = session.prepare(image, scale, sized.by) if number else prepared
        scale = prepared.scale if recipe.normalise.together else None
        pieces = session.pieces(prepared)
        found = session.found(pieces, recipe.postprocess, block)
        assert pieces.origin is not None, "a session makes pieces with their origin"
        parts.append(whole(returned(found, pieces.origin)))
        lost += len(found) - len(parts[-1])
        unread.append(Unread.of(image, recipe, prepared.scale))
    seen = prepared.image
    empty = () if any(map(len, parts)) else (nothing(seen, images[0].channels, sized),)
    odd = ground(seen.seen, prepared.scale, recipe.input.knows)
    every = (said, sized.said, *cubes(images[0]), *seen.notes, *Unread.said(unread), *odd, *vanished(lost), *empty)
    notes = [argued(note) for note in every if note]
    _log.info("%s: %s is seen", images[0].name, seen.seen)
    for note in notes:
        _log.warning("%s: %s", images[0].name, note)
    return Result.of(parts[0] if len(parts) == 1 else stack(parts), images, notes)
