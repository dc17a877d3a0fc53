"""The model card beside shipped weights: what the model is for, and how good it is at that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from toolkit.errors import ModelError
from toolkit.files import bounded, plain_yaml
from toolkit.plugins.sections import Section
from toolkit.steps.survey import Fit, Survey

RULE = "---\n"


class Measured(Section):
    """Images that a model was tried on, and how good it was."""

    stained: bool = False
    """Tissue through which light comes in colours, or other images."""
    score: Annotated[float, Field(ge=0, le=1)]
    """Mean S at IoU .5 on images that it has not learnt from."""
    on: str
    """Those images."""
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
    title: str = ""
    """What the model is for, in a few words."""
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

    def trial(self, survey: Survey) -> Measured | None:
        """The best trial on images of this kind."""
        fitting = [trial for trial in self.measured if trial.stained == survey.stained]
        return max(fitting, key=lambda trial: trial.score, default=None)

    def suits(self, survey: Survey) -> Fit | None:
        """How well the model does on images of this kind; None if it was not tried on any."""
        trial = self.trial(survey)
        return (
            None
            if trial is None
            else Fit(trial.score, f"{self.title or 'trained'}: S@0.50 {trial.score:.2f} on {trial.on}")
        )
