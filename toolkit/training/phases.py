"""Which phase a step belongs to, and how many steps each has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from pydantic import ValidationError

from toolkit.errors import PluginError, UsageError
from toolkit.plugins.phases import DIFFER, OWN, Phase
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.refusal import sentence
from toolkit.plugins.sections import Learning


@dataclass(frozen=True)
class Timetable:
    """Steps of each phase. With minutes, those of the first `known` phases are final and the others a guess."""

    steps: tuple[int, ...]
    known: int

    @classmethod
    def of(cls, phases: Sequence[Phase], steps: int, timed: bool = False) -> Timetable:
        """`steps` shared out; each phase has one at least. `timed`: minutes will say how many they are."""
        if steps < len(phases):
            raise UsageError(f"this method is taught in {len(phases)} phases", f"training.steps={steps}", "give more")
        shares = [phase.share for phase in phases]
        ends = [round(steps * done / sum(shares)) for done in accumulate(shares)]
        for at in range(len(ends)):  # no phase is empty, and there is room for those to come
            ends[at] = min(max(ends[at], ends[at - 1] + 1 if at else 1), steps - len(ends) + at + 1)
        counts = tuple(end - begin for begin, end in zip([0, *ends], ends, strict=False))
        return cls(counts, 0 if timed else len(phases))

    @property
    def total(self) -> int:
        return sum(self.steps)

    def at(self, step: int) -> tuple[int, int]:
        """The phase of step `step`, counted from 0, and how many steps of it are done; the last one at the end."""
        for number, count in enumerate(self.steps[:-1]):
            if step < count:
                return number, step
            step -= count
        return len(self.steps) - 1, step

    def measured(self, number: int, steps: int) -> Timetable:
        """Phase `number` has so many steps, and that is final."""
        return replace(self, steps=(*self.steps[:number], steps, *self.steps[number + 1 :]), known=number + 1)


def checked(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a recipe; raises `PluginError` where the loss declares what cannot be."""
    phases, members = recipe.main.phases(), recipe.main.members(recipe.network, recipe.ndim)
    wrong = next(_faults(phases, members), None)
    if wrong is None:
        try:
            for phase in phases:
                settings(recipe, phase)
        except ValidationError as error:
            wrong = f"a phase sets {error.errors()[0]['loc'][0]}: {sentence(error.errors())}"
    if wrong:
        kind = type(recipe.main)
        where = f"{kind.__module__}.{kind.__name__}.phases()"
        raise PluginError(f"this loss cannot be trained: {wrong}", where, "see docs/hooks.md")
    return phases


def _faults(phases: Sequence[Phase], members: Collection[str]) -> Iterator[str]:
    """What is wrong with a declaration, the most basic first."""
    learning = {name for phase in phases for name in phase.learns}
    if not phases:
        yield "there is no phase"
    if len({phase.name for phase in phases}) < len(phases):
        yield "two phases have one name"
    if OWN in members:
        yield f"{OWN!r} is the recipe's own network"
    if not all(name.isidentifier() for name in (*members, *(phase.name for phase in phases))):
        yield "a name is not an identifier"
    if not all(phase.learns for phase in phases):
        yield "nothing learns in a phase"
    if not learning <= {OWN, *members}:
        yield "a network learns that there is not"
    if OWN not in learning:
        yield "the recipe's own network never learns"
    if not all(phase.build or phase.learns == (OWN,) for phase in phases):
        yield "a phase without `build` teaches others"
    if not all(phase.share > 0 for phase in phases):
        yield "a share is not positive"
    if not all(0 < part <= 1 for phase in phases for part in phase.keeps):
        yield "weights are kept outside a phase"
    if not {name for phase in phases for name in phase.settings} <= {*DIFFER}:
        yield "a phase sets what it may not"


def settings(recipe: Recipe, phase: Phase) -> Learning:
    """How the networks of a phase are trained."""
    return Learning.model_validate({**recipe.training.model_dump(by_alias=True), **phase.settings})
