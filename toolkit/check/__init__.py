"""The data doctor: what is wrong or odd about a data set, how large its objects are and which method fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.check.advice import Advice, Sizes, advise, sizes
from toolkit.check.facts import Facts, look
from toolkit.check.finding import SEVERITIES, Finding, Place, count, finding
from toolkit.check.images import odd_images, offsets
from toolkit.check.inventory import Inventory, inventory
from toolkit.check.labels import odd_labels
from toolkit.check.twins import Twins, twins
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.catalogue import Catalogue


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All that was found, worst first. `twins` are pairs of indices of `facts`."""

    inventory: Inventory
    facts: tuple[Facts, ...]
    twins: tuple[Twins, ...]
    findings: tuple[Finding, ...]
    sizes: tuple[Sizes, ...]
    advice: tuple[Advice, ...]
    """The methods that suit the objects best."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the data from being used."""
        return tuple(f for f in self.findings if f.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "data": str(self.inventory.root),
            "images": len(self.facts),
            "usable": not self.errors,
            "findings": [f.to_json() for f in self.findings],
            "sizes": [row.to_json() for row in self.sizes],
            "advice": [one.to_json() for one in self.advice],
        }


def diagnose(stock: Inventory, catalogue: Catalogue, run: Map = serial) -> Diagnosis:
    """Look at every file of a data set; `run` maps over its images. Nothing is altered."""
    facts = tuple(run(look, stock.entries))
    read = [f for f in facts if f.image is not None]
    same = twins([f.image.fingerprint for f in read if f.image is not None])
    at = {f.entry.name: k for k, f in enumerate(facts)}
    pairs = tuple(
        Twins(at[read[t.first].entry.name], at[read[t.second].entry.name], t.likeness, t.shared) for t in same
    )
    found = [
        *stock.findings,
        *_unreadable(facts),
        *_unequal(facts),
        *_copies(facts, pairs),
        *offsets(facts, stock.splits),
        *odd_images(facts),
        *odd_labels(facts),
    ]
    advice, silent = advise(facts, catalogue)
    found += [Finding("not-asked", "note", f"a method could not be asked whether it suits: {why}") for why in silent]
    found.sort(key=lambda f: SEVERITIES.index(f.severity))
    return Diagnosis(stock, facts, pairs, tuple(found), sizes(facts, stock.splits), advice)


def check(where: str | Path, run: Map = serial, catalogue: Catalogue | None = None) -> Diagnosis:
    """The diagnosis of the data set `DIR`, or of one split, `DIR:SPLIT`, with advice from the installed methods."""
    return diagnose(inventory(str(where)), catalogue or Catalogue(), run)


def _unreadable(facts: Sequence[Facts]) -> Iterator[Finding]:
    for kind in ("image", "mask", "void"):
        places = [Place(f.entry.name, f.bad[kind]) for f in facts if kind in f.bad]
        name = "void mask" if kind == "void" else kind
        yield from finding(
            f"unreadable-{kind}", "error", f"{count(len(places), name)} that cannot be used",
            "replace it, or leave the image out: --fix does it", places,
        )  # fmt: skip


def _unequal(facts: Sequence[Facts]) -> Iterator[Finding]:
    places = [
        Place(f.entry.name, f"image {_by(f.image.shape)}, mask {_by(f.mask.shape)}")
        for f in facts
        if f.image is not None and f.mask is not None and f.image.shape != f.mask.shape
    ]
    yield from finding(
        "shape-mismatch", "error", f"{count(len(places), 'mask')} of another shape than the image",
        "make sure that they belong together and that meta.json names the axes", places,
    )  # fmt: skip


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _exact(facts: Sequence[Facts], pair: Twins) -> bool:
    one, two = facts[pair.first].image, facts[pair.second].image
    return one is not None and two is not None and one.digest == two.digest


def _copies(facts: Sequence[Facts], pairs: Sequence[Twins]) -> Iterator[Finding]:
    """Images that show the same, across splits and within one."""
    across, within = [], []
    for pair in pairs:
        one, two = facts[pair.first].entry, facts[pair.second].entry
        alike = f"{100 * pair.likeness:.0f} % alike" if pair.whole else f"{100 * pair.shared:.0f} % of the pixels"
        said = "the same voxels" if _exact(facts, pair) else alike
        if one.split == two.split:
            within.append(Place(one.name, f"{two.name}, {said}"))
        else:
            across.append(Place(one.name, f"{one.split}; {two.split}: {two.name}, {said}"))
    yield from finding(
        "same-image", "warning",
        f"{count(len(across), 'pair')} of images in two splits that show the same: scores will be too good",
        "look at them and keep each pair in one split; --fix takes exact copies out of train", across,
    )  # fmt: skip
    yield from finding(
        "same-image-within", "note",
        f"{count(len(within), 'pair')} of images in one split that show the same", "", within,
    )  # fmt: skip
