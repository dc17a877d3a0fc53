"""Files of label layers as parts of an image: made by whoever works, and kept until the result is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.files import arrays
from toolkit.io.shards import Files, Make, Shard
from toolkit.pipeline.parts import Again, on_shelf
from toolkit.pipeline.shelf import Shelf, writing
from toolkit.pipeline.workers import Map, serial
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects, reader


def shelving(shelf: Shelf, run: Map = serial, remote: Callable[[Shard], str] | None = None) -> Make:
    """How shards are made that stay on a shelf; `remote` does one elsewhere, as `store` does it here."""

    def make(shards: Sequence[Shard], objects: Objects) -> Again:
        said, here = shards[0].stage, partial(store, reader(objects), shelf.folder)
        made = partial(on_shelf, shards, len(shards), said, Files, shelf, given=lambda one: one.of(objects))
        return made(make=remote, run=run) if remote and len(shards) > 1 else made(make=here)  # one is soon made

    return make


def store(read: Callable[[Any], Instances], folder: Path, shard: Shard) -> str:
    """Make a shard of objects of which `read` gives sets of parts, and leave its files, as one, in `folder`; gives the
    sha256 of that."""
    with writing(folder):
        return arrays.write(folder / shard.file, shard.files(read))
