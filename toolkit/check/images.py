"""What is odd about the images, and what differs between them or between splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.check.facts import Facts, ImageFacts
from toolkit.check.finding import Finding, Place, count, finding

SHIFT = 0.25
"""Offset between splits, in units of the spread of intensities, that is worth a word."""
STRETCH = 2.0
"""Factor between the spreads of two splits that is worth a word."""
GREY_AND_COLOUR = {"1 channel", "3 channels"}
FAINT = 0.02
"""Objects whose contrast is less are neither bright nor dark."""

Named = Sequence[tuple[str, ImageFacts]]


def odd_images(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Findings about the images, each of which could be read."""
    images = [(f.entry.name, f.image) for f in facts if f.image is not None]
    yield from _values(images)
    yield from _mixed(images)
    yield from _colours(images)
    yield from _calibration(images)
    yield from _polarity(images)
    guessed = [Place(name, note) for name, image in images for note in image.notes]
    yield from finding(
        "assumed", "note", f"{count(len(guessed), 'remark')} from reading the files",
        "say axes and voxel_size_um in meta.json to be sure", guessed,
    )  # fmt: skip


def _values(images: Named) -> Iterator[Finding]:
    hollow = [Place(name) for name, image in images if all(np.isnan(image.middle))]
    flat = [Place(name) for name, image in images if image.constant]
    holes = [Place(name, f"{image.nonfinite} voxels") for name, image in images if image.nonfinite]
    large = [Place(name) for name, image in images if image.partial]
    yield from finding("no-values", "error", f"{count(len(hollow), 'image')} without a number", "leave it out", hollow)
    yield from finding(
        "constant", "warning", f"{count(len(flat), 'image')} of one value everywhere", "look at it", flat
    )
    yield from finding(
        "nonfinite", "warning", f"{count(len(holes), 'image')} with values that are NaN or infinite",
        "they are read as background; mark them in void/ if objects may be there",
        [place for place in holes if place.image not in {p.image for p in hollow}],
    )  # fmt: skip
    yield from finding("large", "note", f"of {count(len(large), 'image')} only the middle was looked at", "", large)


def _mixed(images: Named) -> Iterator[Finding]:
    for code, what, severity, do, of in (
        ("mixed-axes", "numbers of axes", "error", "keep 2-D and 3-D images in two data sets",
         lambda i: f"{len(i.shape)}-D"),
        ("mixed-types", "number types", "warning", "--fix stores all as the widest", lambda i: i.dtype),
        ("mixed-channels", "numbers of channels", "warning",
         "choose what they have in common, such as --set input.channels=grey", lambda i: count(i.channels, "channel")),
        ("mixed-spacing", "voxel sizes", "warning", "resample, or keep them in data sets of their own",
         lambda i: "×".join(f"{v:g}" for v in i.voxel_size) + " µm" if i.calibrated else "unknown"),
    ):  # fmt: skip
        kinds = Counter(of(image) for _, image in images)
        if len(kinds) > 1 and set(kinds) != GREY_AND_COLOUR:
            usual = kinds.most_common(1)[0][0]
            where = tuple(Place(name, of(image)) for name, image in images if of(image) != usual)
            said = ", ".join(f"{n} × {kind}" for kind, n in kinds.most_common())
            yield Finding(code, severity, f"images of several {what}: {said}", do, where)  # type: ignore[arg-type]


def _colours(images: Named) -> Iterator[Finding]:
    colour = [name for name, image in images if image.channels == 3 and not image.colourless]
    grey = [Place(name, "three equal channels" if image.colourless else "one channel")
            for name, image in images if image.colourless or image.channels == 1]  # fmt: skip
    if colour:
        yield from finding(
            "grey-among-colour", "warning", f"{count(len(grey), 'grey image')} among {len(colour)} in colour",
            "train and run with --set input.channels=grey, or keep them apart", grey,
        )  # fmt: skip


def _calibration(images: Named) -> Iterator[Finding]:
    unknown = [Place(name) for name, image in images if not image.calibrated]
    if unknown and len(unknown) == len(images):
        volumes = any(len(image.shape) == 3 for _, image in images)
        why = ": slices are rarely as thick as pixels are wide" if volumes else ""
        yield Finding(
            "no-spacing", "warning" if volumes else "note", "the voxel size is unknown",
            f"write voxel_size_um into meta.json{why}",
        )  # fmt: skip


def _polarity(images: Named) -> Iterator[Finding]:
    known = [(name, image.contrast) for name, image in images if abs(image.contrast) >= FAINT]
    dark = [Place(name, f"contrast {c:+.2f}") for name, c in known if c < 0]
    bright = [Place(name, f"contrast {c:+.2f}") for name, c in known if c > 0]
    if dark and bright:
        yield from finding(
            "polarity", "warning",
            f"objects are darker than their surroundings in {count(len(dark), 'image')}, brighter in {len(bright)}",
            "make sure that image and mask belong together; keep the two kinds apart if they can be",
            min(dark, bright, key=len),
        )  # fmt: skip


def offsets(facts: Sequence[Facts], splits: Sequence[str]) -> Iterator[Finding]:
    """Intensities that differ between splits: medians over the images of a split against those of the first one."""
    groups = {
        s: np.array([_levels(f.image) for f in facts if f.image is not None and f.entry.split == s]) for s in splits
    }
    groups = {s: values for s, values in groups.items() if len(values)}
    if len(groups) < 2:
        return
    first, *others = groups
    for split in others:
        here, there = (_typical(groups[s]) for s in (split, first))
        shift, stretch = (here[0] - there[0]) / max(there[1], 1e-9), here[1] / max(there[1], 1e-9)
        # In a set of many kinds of images, the medians of two splits differ by chance.
        spread = float(np.subtract(*np.percentile(groups[first][:, 0], [75, 25]))) / max(there[1], 1e-9)
        ratio = float(np.divide(*np.percentile(groups[first][:, 1], [75, 25])))
        most = max(STRETCH, ratio)
        said = []
        if abs(shift) > max(SHIFT, spread):
            said.append(f"the darkest voxels (1st percentile) are at {here[0]:.4g}, not {there[0]:.4g}")
        if not 1 / most < stretch < most:
            said.append(f"the spread is {here[1]:.4g}, not {there[1]:.4g}")
        if said:
            yield Finding(
                "intensity-offset", "warning", f"{split} differs from {first}: {' and '.join(said)}",
                "keep normalise.kind=percentile, which takes it away",
            )  # fmt: skip


def _levels(image: Any) -> tuple[float, float]:
    return image.low[0], image.high[0] - image.low[0]


def _typical(levels: NDArray[np.float64]) -> tuple[float, float]:
    low, span = np.nanmedian(levels, axis=0)
    return float(low), float(span)
