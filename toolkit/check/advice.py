"""How large the objects are, and which of the installed methods suit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import gamma, pi, prod
from typing import Any

import numpy as np

from toolkit.check.facts import Facts
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.ranking import rank
from toolkit.steps.survey import Seen, Survey

SHOWN = 3
"""Methods that are named."""


@dataclass(frozen=True)
class Sizes:
    """The objects of one split; sizes in voxels, diameters of discs or balls of equal size in voxels and in µm."""

    split: str
    images: int
    objects: int
    per_image: float
    smallest: int
    median: float
    largest: int
    diameter: float
    diameter_um: float | None
    overlapping: int
    touching: float
    covered: float

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Advice:
    """A method of those installed, `plugin:name`, and its name alone, which `seg train` knows, too, unless two plugins
    have it; what it is, how well it suits, from 0 to 1, and why."""

    recipe: str
    name: str
    title: str
    score: float
    reason: str

    @property
    def plugin(self) -> str:
        return self.recipe.partition(":")[0]

    @property
    def option(self) -> str:
        """How `seg train` is told."""
        return f"--plugin {self.plugin}" if self.name == self.plugin else f"--recipe {self.name}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def sizes(facts: Sequence[Facts], splits: Sequence[str]) -> tuple[Sizes, ...]:
    """One row per split that has objects."""
    rows = []
    for split in splits:
        here = [f for f in facts if f.entry.split == split and f.mask is not None]
        size = np.concatenate([np.zeros(0, np.int64), *(f.mask.objects.sizes for f in here if f.mask is not None)])
        if not len(size):
            continue
        dimension = len(here[0].mask.shape) if here[0].mask else 2
        median = float(np.median(size))
        diameter = 2 * (median * gamma(dimension / 2 + 1) / pi ** (dimension / 2)) ** (1 / dimension)
        voxel = next((f.image.voxel_size for f in here if f.image is not None and f.image.calibrated), None)
        objects = [f.mask.objects for f in here if f.mask is not None]
        rows.append(
            Sizes(
                split=split,
                images=len(here),
                objects=len(size),
                per_image=float(np.median([len(o) for o in objects])),
                smallest=int(size.min()),
                median=median,
                largest=int(size.max()),
                diameter=round(diameter, 1),
                diameter_um=None
                if voxel is None
                else float(f"{diameter * float(np.prod(voxel)) ** (1 / dimension):.3g}"),
                overlapping=sum(o.overlapping for o in objects),
                touching=round(sum(o.touching * len(o) for o in objects) / len(size), 3),
                covered=round(float(np.mean([o.covered for o in objects])), 3),
            )
        )
    return tuple(rows)


def advise(facts: Sequence[Facts], catalogue: Catalogue) -> tuple[tuple[Advice, ...], tuple[str, ...]]:
    """The methods that suit the objects best, one of each plugin, and why others could not be asked.

    Nothing without objects, or where images differ in their number of axes. Looks at train and val only, if there are
    such splits.
    """
    learnt = [f for f in facts if f.entry.split in ("train", "val")] or list(facts)
    here = [f for f in learnt if f.mask is not None]
    if not any(len(f.mask.objects) for f in here if f.mask) or len({len(f.mask.shape) for f in here if f.mask}) > 1:
        return (), ()
    found = rank(Survey.of(map(_seen, here)), catalogue)
    best = {one.plugin: one for one in reversed(found.candidates)}
    shown = [one for one in found.candidates if best[one.plugin] is one][:SHOWN]
    stems = [name.partition(":")[2] for name in catalogue.collect("recipes")]
    names = [c.name if stems.count(c.path.stem) > 1 else c.path.stem for c in shown]
    advice = [Advice(c.name, n, c.recipe.title, c.fit.score, c.fit.reason) for c, n in zip(shown, names, strict=True)]
    return tuple(advice), found.notes


def _seen(facts: Facts) -> Seen:
    mask, image = facts.mask, facts.image
    assert mask is not None, "asked of what is annotated"
    voxels = prod(mask.shape)
    return Seen(
        mask.shape,
        image.voxel_size if image is not None else (1.0,) * len(mask.shape),
        image is not None and image.calibrated,
        image.channels if image is not None else 0,
        image is not None and image.stained,
        mask.objects,
        inside=round(mask.objects.covered * voxels),
        known=round((1 - mask.unannotated) * voxels),
        unknown=round(mask.unannotated * voxels),
    )
