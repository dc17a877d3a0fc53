"""The model card beside shipped weights: what the model is for, and how good it is at that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from toolkit.errors import ModelError
from toolkit.files import bounded, plain_yaml
from toolkit.plugins.sections import Section
from toolkit.steps.survey import Fit, Survey

RULE = "---\n"
SPDX = r"(?:weights )?(MIT|Unlicense|[A-Za-z][A-Za-z0-9.+-]*-[A-Za-z0-9.+-]*)(?=$|[,;\s])"


class Measured(Section):
    """Images that a model was tried on, and how good it was."""

    stained: bool = False
    """Tissue through which light comes in colours, or other images."""
    score: Annotated[float, Field(ge=0, le=1)]
    """Mean S at IoU .5 on images that it has not learnt from."""
    on: str
    """Those images."""
    recipe: str = ""
    """The recipe that the model was run with, if it was not its own; such as one for images with another axis."""
    changes: Annotated[tuple[str, ...], Field(alias="set")] = ()
    """The `--set` changes with which they were run."""


class Demo(Section):
    """What `seg demo` shows of a model."""

    picture: str = "tissue"
    """`tissue`, `filaments`, or the name of an image file beside the card."""
    changes: Annotated[tuple[str, ...], Field(alias="set")] = ()
    """The `--set` changes with which it is run."""


class Card(Section):
    """The YAML between two lines `---` at the top of `NAME.md`; all of it may be missing."""

    licence: str = "unknown"
    """An SPDX name, or a sentence that begins with one, or with `weights` and one."""
    title: str | None = ""
    """What the model is for, in a few words."""
    description: str | None = ""
    """What it does, on which images."""
    authors: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()
    """DOIs of what to cite for it."""
    measured: tuple[Measured, ...] = ()
    demo: Demo | None = None

    @classmethod
    def beside(cls, recipe: Path) -> Card:
        """The card of the model whose recipe this file is; an empty one if there is none."""
        path = recipe.with_suffix(".md")
        try:
            text = bounded.read(path).decode("utf8") if path.is_file() else ""
            head, rule, _ = text.removeprefix(RULE).partition(RULE) if text.startswith(RULE) else ("", "", "")
            card: Card = cls.model_validate(plain_yaml.load(head.encode()) if rule else {})
        except (ValueError, OSError, plain_yaml.NotPlain) as error:
            raise ModelError("this model card cannot be read", path, " ".join(str(error).split())[:200]) from error
        return card

    @property
    def spdx(self) -> str | None:
        """The licence of the weights as the catalogue of SPDX calls it, if the card says one."""
        named = re.match(SPDX, self.licence)
        return named[1] if named else None

    def trial(self, survey: Survey, own: bool = True) -> Measured | None:
        """The best trial on images of this kind, with the model's `own` recipe or with another."""
        fitting = [t for t in self.measured if t.stained == survey.stained and own is not bool(t.recipe)]
        return max(fitting, key=lambda trial: trial.score, default=None)

    def suits(self, survey: Survey, own: bool = True) -> Fit | None:
        """How well the model does on images of this kind; None if it was not tried on any."""
        trial = self.trial(survey, own)
        return (
            None
            if trial is None
            else Fit(trial.score, f"{self.title or 'trained'}: S@0.50 {trial.score:.2f} on {trial.on}")
        )
