"""Parts that anybody can make: those that are not on the shelf are made, each is read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from toolkit.pipeline.heard import each, tell
from toolkit.pipeline.shelf import Shelf, read
from toolkit.pipeline.workers import Map, serial


class Item(Protocol):
    """What is to be done for a part: the stage that it is of, and the name of its file."""

    @property
    def stage(self) -> str: ...
    @property
    def file(self) -> str: ...


class Again:
    """Values that are made of what is in `of` when they are asked for, and as often, each told as a part of `stage`: no
    two of them need be in memory."""

    def __init__(self, stage: str, make: Callable[[Any], Any], of: Sequence[Any]) -> None:
        self.make, self.of, self._stage = make, of, stage

    def __iter__(self) -> Iterator[Any]:
        return each(self._stage, map(self.make, self.of), len(self.of))


def on_shelf(
    items: Iterable[Item],
    total: int,
    said: str,
    kind: type,
    shelf: Shelf,
    make: Callable[[Any], str],
    run: Map = serial,
    given: Callable[[Any], Any] | None = None,
) -> Again:
    """The parts of `items`, of which there are `total`, values of class `kind`. `make` leaves the part of an item in
    the folder of the shelf and gives the sha256 of its file; it is called with what is `given` for the item, by
    default itself. `said` is what people are told."""
    all_of_them, todo = [], []

    def missing() -> Iterator[Any]:
        for one in items:
            all_of_them.append((one.stage, one.file))
            if one.file not in shelf.known(one.stage):
                todo.append((one.stage, one.file))
                yield given(one) if given else one

    for done, sha256 in enumerate(run(make, missing())):
        shelf.add(*todo[done], sha256)
        tell(said, done + 1 + len(all_of_them) - len(todo), total)
    return Again(said, partial(read, shelf.folder, kind), [shelf.part(*one) for one in all_of_them])
