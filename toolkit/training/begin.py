"""A training as people ask for it: by names, changes and a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import recipe_named
from toolkit.training.minutes import BATCH

if TYPE_CHECKING:
    from toolkit.registry.package import ModelPackage
    from toolkit.training.deduce import Deduction
    from toolkit.training.loop import Report
    from toolkit.training.start import Trained

POST = "postprocess."
CORRECTED = "data"
"""The folder in a run of the data set that was made of corrections."""


def begin(
    data: str | Path | None,
    out: str | Path,
    catalogue: Catalogue,
    *,
    corrections: Sequence[str | Path] = (),
    plugin: str | None = None,
    recipe: str | Path | None = None,
    model: str | Path | None = None,
    changes: Sequence[str] = (),
    deduce: bool = False,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
    tell: Callable[[Report], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train what was named into the folder `out`. See `seg train` for the arguments.

    `corrections`: results whose corrections are learnt from, in the data set `out/data` that is made of them; `data` is
    then what is learnt from beside. Names and changes are looked at before torch is imported.
    """
    if minutes is not None and steps is not None:
        raise UsageError("two ways to say how long", "--minutes and --steps", "choose one")
    wanted = [*changes, *([f"training.steps={steps}"] if steps else [])]
    owner = catalogue.plugin(plugin).name if plugin else None
    begun = resume and (Path(out) / "recipe.yaml").is_file()
    if data is None and not corrections and not (begun and (Path(out) / CORRECTED).is_dir()):
        raise UsageError("there is nothing to learn from", "--data or --corrections", "name a data set or a result")
    named = recipe or plugin
    going_on = begun and (deduce or not named)
    if going_on:
        from toolkit.training.provenance import recipe_of

        chosen, owner = recipe_of(Path(out), catalogue, wanted)
    elif named:
        chosen, owner = recipe_named(str(named), catalogue, wanted, owner)
    elif not model:
        raise UsageError("no method was named", "--plugin, --recipe or --model", "see seg plugins list")

    from toolkit.registry import resolve
    from toolkit.training.sizes import unmeasured
    from toolkit.training.start import fitted, train

    start = resolve.load(str(model), catalogue) if model else None
    if start and not (begun or named):
        chosen, owner = start.recipe.changed(wanted, catalogue, start.owner), start.owner
    if corrections:
        data = _corrected(corrections, Path(out), data, start, resume, say)
    data = data or Path(out) / CORRECTED
    found: tuple[Deduction, ...] = ()
    fixed = {change.partition("=")[0].strip() for change in wanted}
    if not going_on:
        chosen = unmeasured(chosen, fixed)
    if deduce and not begun:
        chosen, found = fitted(chosen, data, catalogue, device=device, owner=owner, fixed=fixed)
        for deduction in found:
            say(f"set    {deduction.field}={deduction.value}  ({deduction.reason})")
    return train(
        chosen,
        data,
        out,
        minutes=minutes,
        device=device,
        threads=threads,
        model=start,
        owner=owner,
        resume=resume,
        deductions=found,
        held=[field.removeprefix(POST) for field in fixed if field.startswith(POST) or field == BATCH],
        catalogue=catalogue,
        tell=tell,
        say=say,
    )


def _corrected(
    corrections: Sequence[str | Path],
    out: Path,
    data: str | Path | None,
    start: ModelPackage | None,
    resume: bool,
    say: Callable[[str], None],
) -> Path:
    """The data set of corrections in a run, made unless it is there; images that judged the model judge it again."""
    from toolkit.correct.dataset import build
    from toolkit.registry.package import trained
    from toolkit.training.run import unused, writing

    if not resume:
        unused(out)
    before = (trained(start.source.parent).get("corrections") or {}).get("held", ()) if start else ()
    with writing(out):
        record = build(corrections, out / CORRECTED, None if data is None else str(data), before)
    images, held = len(record["images"]), len(record["held"])
    say(f"learns from corrections of {images} images, {f'{held} of them' if held else 'half of it'} held back to judge")
    return out / CORRECTED
