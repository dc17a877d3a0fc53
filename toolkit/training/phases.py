"""Which phase a step belongs to, and how many steps each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from toolkit.errors import PluginError, UsageError
from toolkit.plugins.phases import DIFFER, OWN, Phase
from toolkit.plugins.recipe import Recipe
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
    phases, members = recipe.loss.phases(), recipe.loss.members(recipe.network, recipe.ndim)
    names = {OWN, *members}
    for wrong, why in (
        (not phases, "there is no phase"),
        (len({p.name for p in phases}) < len(phases), "two phases have one name"),
        (OWN in members, f"{OWN!r} is the recipe's own network"),
        (not all(name.isidentifier() for name in (*members, *(p.name for p in phases))), "a name is not an identifier"),
        (not all(phase.learns for phase in phases), "nothing learns in a phase"),
        (not {name for phase in phases for name in phase.learns} <= names, "a network learns that there is not"),
        (not any(OWN in phase.learns for phase in phases), "the recipe's own network never learns"),
        (not all(phase.build or phase.learns == (OWN,) for phase in phases), "a phase without `build` teaches others"),
        (not all(phase.share > 0 for phase in phases), "a share is not positive"),
        (not all(0 < part <= 1 for phase in phases for part in phase.keeps), "weights are kept outside a phase"),
        (not {name for phase in phases for name in phase.settings} <= {*DIFFER}, "a phase sets what it may not"),
    ):
        if wrong:
            kind = type(recipe.loss)
            raise PluginError(f"this loss cannot be trained: {why}", f"{kind.__module__}.{kind.__name__}.phases()",
                              "see docs/hooks.md")  # fmt: skip
    return phases


def settings(recipe: Recipe, phase: Phase) -> Learning:
    """How the networks of a phase are trained."""
    return Learning.model_validate({**recipe.training.model_dump(by_alias=True), **phase.settings})
