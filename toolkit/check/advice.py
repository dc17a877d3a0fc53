"""How large the objects are, and which method and sizes fit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import gamma, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.check.facts import Facts
from toolkit.check.labels import SMALL

OVERLAPPING = 0.01
"""Share of objects that overlap from which on a method must be able to say so."""
BENT = 0.8
"""Objects that fill less of their ellipse are no blobs."""
DENSE, FREE = 0.5, 0.05
"""Share of voxels in objects from which on they lie side by side; share of touching objects that may be passed over."""
SPARSE = 0.05
"""Share of voxels without annotation from which on it is called sparse."""
FLAT_AND_DEEP = ("affinities", "three-label-cpv")
"""Recipes that come in two kinds; those for volumes end in `-3d`."""
CROP = {2: (64, 512), 3: (16, 128)}
"""Least and largest crop by the number of axes."""
PATCH = {2: (9, 41), 3: (5, 15)}
"""Least and largest patch of PatchPerPix."""


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
    """A plugin, why, other recipes that may do, and `--set` changes for it."""

    plugin: str
    reason: str
    others: tuple[str, ...]
    changes: tuple[str, ...]
    recipe: str | None = None
    """The recipe to begin with, where it is not the plugin's own."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "others": list(self.others), "changes": list(self.changes)}


def sizes(facts: Sequence[Facts], splits: Sequence[str]) -> tuple[Sizes, ...]:
    """One row per split that has objects."""
    rows = []
    for split in splits:
        here = [f for f in facts if f.entry.split == split and f.mask is not None]
        size = _all(here, "sizes")
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


def advise(facts: Sequence[Facts]) -> Advice | None:
    """What to begin with; None without objects. Looks at train and val only, if there are such splits."""
    learnt = [f for f in facts if f.entry.split in ("train", "val")] or list(facts)
    here = [f for f in learnt if f.mask is not None and len(f.mask.objects)]
    if not here:
        return None
    masks = [f.mask for f in here if f.mask is not None]
    if all(m.points for m in masks):
        fitting = tuple(change for change in _changes("cpv", here) if change.startswith("input."))
        name = "gauss-3d" if len(masks[0].shape) == 3 else "gauss"
        return Advice("cpv", "the objects are points, and it detects them", (), fitting, name)
    total = sum(len(m.objects) for m in masks)
    overlapping = sum(m.objects.overlapping for m in masks) / total
    touching = sum(m.objects.touching * len(m.objects) for m in masks) / total
    covered = float(np.mean([m.objects.covered for m in masks]))
    unknown = float(np.mean([m.unannotated for m in masks]))
    fill = float(np.median(_all(here, "fill")))
    plugin, reason, others = _method(overlapping, unknown, fill, touching, covered)
    volumes = len(masks[0].shape) == 3
    named = tuple(f"{name}-3d" if volumes and name in FLAT_AND_DEEP else name for name in others)
    return Advice(plugin, reason, named, _changes(plugin, here))


def _method(
    overlapping: float, unknown: float, fill: float, touching: float, covered: float
) -> tuple[str, str, tuple[str, ...]]:
    if overlapping > OVERLAPPING:
        return "ppp", f"{100 * overlapping:.0f} % of the objects overlap, and only its objects may share voxels", ()
    if unknown > SPARSE:
        reason = f"{100 * unknown:.0f} % of the voxels are not annotated, and it learns from them too"
        return "cac", reason, ("embedseg",)
    if fill < BENT:
        return "ppp", f"the objects are bent or branched (they fill {fill:.2f} of their ellipses)", ("affinities",)
    shape = f"the objects are compact (they fill {fill:.2f} of their ellipses)"
    if covered > DENSE:
        return "embedseg", f"{shape} and lie side by side", ("affinities", "ppp")
    if touching < FREE:
        return "embedseg", f"{shape} and few of them touch", ("unet",)
    return "embedseg", f"{shape} and {100 * touching:.0f} % of them touch", ("three-label-cpv", "ppp")


def _changes(plugin: str, here: Sequence[Facts]) -> tuple[str, ...]:
    """Crop: four objects wide. Patch: as long as the objects, but no more than 2.5 times their width."""
    shapes = np.array([f.mask.shape for f in here if f.mask is not None])
    dimension, image = shapes.shape[1], np.median(shapes, axis=0)
    extents, width, size = _all(here, "extents"), _all(here, "width"), _all(here, "sizes")
    least, most = CROP[dimension]
    wanted = np.clip(4 * np.percentile(extents, 95, axis=0), least, most)
    wanted[-2:] = wanted[-2:].max()  # objects lie in any direction
    crop, window = _stepped(np.minimum(wanted, image)), _stepped(np.minimum(most, image))
    changes = [f"training.crop={crop}", f"tiling.window={window}"]
    if dimension == 3:
        changes.append(f"tiling.overlap={[n // 4 for n in window]}")
    if len({f.image.channels for f in here if f.image is not None}) > 1:
        changes.append("input.channels=grey")
    if plugin == "ppp":
        low, high = PATCH[dimension]
        side = np.clip(np.minimum(np.median(extents, axis=0), 2.5 * float(np.median(width))), low, high)
        patch = [int(n) // 2 * 2 + 1 if n < high else high for n in side]
        changes += [f"loss.patch={patch}", f"postprocess.patch={patch}"]
    if plugin == "embedseg":
        changes.append(f"postprocess.min_size={int(size[size >= SMALL * np.median(size)].min())}")
        voxel = next((f.image.voxel_size for f in here if f.image is not None and f.image.calibrated), ())
        if len(set(voxel)) > 1:
            ratio = [round(v / voxel[-1], 4) for v in voxel]
            changes += [f"loss.anisotropy={ratio}", f"postprocess.anisotropy={ratio}"]
    return tuple(change.replace(", ", ",") for change in changes)


def _stepped(shape: NDArray[np.float64]) -> list[int]:
    """Rounded up to multiples of 16, which every network takes."""
    return [int(-(-n // 16) * 16) for n in shape]


def _all(facts: Sequence[Facts], name: str) -> NDArray[Any]:
    """One array of the objects of all masks."""
    parts = [getattr(f.mask.objects, name) for f in facts if f.mask is not None and len(f.mask.objects)]
    return np.concatenate(parts) if parts else np.zeros(0)
