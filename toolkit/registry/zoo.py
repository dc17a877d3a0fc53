"""The models of the bioimage.io collection, from an index that comes with the toolkit: searching needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

RUNS = ("onnx", "pytorch_state_dict", "torchscript")
"""Weight formats that this toolkit can run, the last two if their code is reviewed or trusted."""


@dataclass(frozen=True)
class Listed:
    """A model of the collection. `sha256` is that of its description."""

    id: str
    name: str
    about: str
    tags: tuple[str, ...]
    licence: str
    weights: tuple[str, ...]
    version: str
    sha256: str
    template: str

    @property
    def runs(self) -> bool:
        """Whether any of its weights is of a format that can run here."""
        return any(kind in RUNS for kind in self.weights)

    def address(self, file: str) -> str:
        """Where a file of the model is."""
        return self.template.format(id=self.id, file=file, version=self.version)


@cache
def models() -> tuple[Listed, ...]:
    """All models of the index, by id."""
    index = json.loads(files("toolkit.registry").joinpath("zoo.json").read_text(encoding="utf8"))
    return tuple(
        Listed(**{**m, "tags": tuple(m["tags"]), "weights": tuple(m["weights"])}, template=index["address"])
        for m in index["models"]
    )


def find(name: str) -> Listed | None:
    """The model with this id."""
    return next((m for m in models() if m.id == name), None)


def search(words: Sequence[str]) -> list[Listed]:
    """Models in whose facts all words occur, those that have them in id, name or tags first."""
    wanted = [word.lower() for word in words]

    def near(model: Listed) -> int:
        title = " ".join((model.id, model.name, *model.tags)).lower()
        return -sum(word in title for word in wanted)

    found = [
        m
        for m in models()
        if all(w in " ".join((m.id, m.name, m.about, *m.tags, m.licence, *m.weights)).lower() for w in wanted)
    ]
    return sorted(found, key=lambda m: (near(m), m.id))
