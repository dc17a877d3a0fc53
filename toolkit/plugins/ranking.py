"""Ask every installed method how well it suits what was surveyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import PluginError, ToolkitError
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe, recipe_named
from toolkit.steps.survey import Fit, Survey

LOST = 0.2
"""How well a method suits at most where it cannot say what is there."""
OTHER = 1.25
"""Voxels that are so many times larger or smaller than those learnt are another scale."""


@dataclass(frozen=True)
class Candidate:
    """A recipe and how well it suits; `named` is the recipe that its model does it with, if it is not its own, and
    `changes` are those of that recipe."""

    plugin: str
    path: Path
    recipe: Recipe
    fit: Fit
    changes: tuple[str, ...] = ()
    named: str | None = None

    @property
    def name(self) -> str:
        """`plugin:name`, which always finds it."""
        return f"{self.plugin}:{self.path.stem}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """What makes it another method, not another size of one."""
        return (self.plugin, *(f"{place}={spec.kind}" for place, spec in self.recipe.placed if place != "network"))


@dataclass(frozen=True)
class Ranking:
    """What suits at all, best first, and why others were left out."""

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def rank(survey: Survey, catalogue: Catalogue, *, trained: bool = False, plugin: str | None = None) -> Ranking:
    """The recipes of all plugins, or of one, that suit; of each method, the best, and of equal ones the shortest name.

    `trained`: shipped models instead, each for itself, which suit no better than their card says. A recipe of which
    nobody says how well it suits is left out. A plugin that fails is named in the notes and disturbs no other.
    """
    found: list[Candidate] = []
    notes: list[str] = []
    for name, path in catalogue.collect("recipes").items():
        owner = name.partition(":")[0]
        if plugin not in (None, owner) or (trained and not path.with_suffix(".safetensors").is_file()):
            continue
        try:
            candidate = _asked(survey, catalogue, owner, path, Card.beside(path) if trained else None)
        except ToolkitError as error:
            notes.append(f"{name} was left out: {error}")
        # Somebody else's code, which may raise anything.
        except Exception as error:
            notes.append(f"{name} was left out: {type(error).__name__}: {error}")
        else:
            found += [candidate] if candidate and candidate.fit.score > 0 else []
    found.sort(key=lambda c: (-c.fit.score, len(c.path.stem), c.name))
    best = {c.name if trained else c.kinds: c for c in reversed(found)}
    notes += [f"plugin {b.plugin.name} is broken ({b.error})" for b in catalogue.broken()]
    return Ranking(tuple(c for c in found if c in best.values()), tuple(notes))


def _asked(survey: Survey, catalogue: Catalogue, owner: str, path: Path, card: Card | None) -> Candidate | None:
    """A recipe, or the model with this card, as well as the least of those who speak for it says."""
    recipe = Recipe.load(path, catalogue, owner)
    own = recipe.ndim == survey.ndim
    trial = card.trial(survey, own) if card else None
    changes, named = trial.changes if trial else (), None
    if card and trial and not own:
        named = trial.recipe
        recipe, _ = recipe_named(named, catalogue, (), owner)
        changes = (*changes, *following(recipe, survey))
    recipe = recipe.changed(changes, catalogue, owner)
    if card is None and any(loss.prepares for loss in recipe.losses):
        return None
    said = [spec.suits(survey) for spec in recipe.specs] + ([card.suits(survey, own)] if card else [])
    answers = [answer for answer in said if answer is not None]
    for answer in answers:
        if not isinstance(answer, Fit):
            raise PluginError("suits gives a Fit or None", f"{path.stem} gave {answer!r}"[:200])
    if not answers:
        return None
    fit = min([*_limits(survey, recipe), *answers], key=lambda f: f.score)
    return Candidate(owner, path, recipe, fit, changes, named)


def following(recipe: Recipe, survey: Survey) -> tuple[str, ...]:
    """The changes of a recipe that follow from what was surveyed: `section.field=value`."""
    # No change of this form reaches into a list of losses.
    sections = {section: spec for section, spec in recipe.placed if "." not in section}
    return tuple(
        f"{section}.{field}={json.dumps(because.value)}"
        for section, spec in sections.items()
        for field, because in spec.deduced(survey).items()
    )


def _limits(survey: Survey, recipe: Recipe) -> Iterator[Fit]:
    """What keeps any method from these images."""
    spacing, sees = recipe.input.spacing_um, recipe.input.count
    if recipe.ndim != survey.ndim:
        yield Fit(0, f"it works on {recipe.ndim}-D images")
        return
    if survey.channels and (sees or 0) > min(survey.channels):
        yield Fit(0, f"it sees {sees} channels")
    if survey.points and not recipe.postprocess.detects:
        yield Fit(0, "the objects are points, and it needs their outlines")
    if survey.overlap and not recipe.postprocess.overlaps:
        share = f"{100 * survey.overlapping:.0f} % of the objects overlap"
        yield Fit(LOST, f"{share}, and its objects share no voxel")
    if spacing and survey.calibrated:
        ratio = max(max(a / b, b / a) for a, b in zip(spacing, survey.voxel_size, strict=True))
        if ratio > OTHER:
            yield Fit(1 / ratio, f"it was trained at {' × '.join(f'{s:g}' for s in spacing)} µm")
