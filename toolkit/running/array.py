"""A run as jobs of an array: each makes some parts of one image, and needs no lock that must hold between hosts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from toolkit.errors import UsageError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Source
from toolkit.pipeline.passes import Work, division, reduced, shelved, work_of
from toolkit.pipeline.pieces import STAGE
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.pipeline.shelf import JOURNAL, Shelf
from toolkit.running.one import at_size, key, source
from toolkit.running.options import Options
from toolkit.running.plan import Plan
from toolkit.running.run import fingerprint
from toolkit.running.shelved import SCALE, SIZE, divided
from toolkit.running.workspace import begun, opened
from toolkit.steps.normalise import Scale
from toolkit.steps.void import hulls, numbers
from toolkit.values.rescaling import Rescaling

JOBS = 16
"""Of an array, at most."""


def stages(session: Session) -> list[str]:
    """The names of the stages in their order; the last reduce is that of the run itself, with --resume."""
    count = len(session.model.recipe.postprocess.passes())
    named = [SCALE, STAGE]
    for number, step in enumerate(session.model.recipe.postprocess.passes(), 1):
        named += [] if step.gathers else [f"pass-{number}"]
        named += [f"reduce-{number}"] if number < count and step.state is not None else []
    return named


def make(found: Sequence[Found], bench: Bench, options: Options, stage: str, only: range | None) -> int:
    """Make the parts `only` (default: all) of a stage of the one image of a run; gives how many the stage has.

    `scale` begins the run. The others raise `UsageError` unless it was begun with the same image, model and options.
    """
    session = bench.session
    if stage not in stages(session):
        raise UsageError("no such stage", f"--stage {stage}", f"choose one of {', '.join(stages(session))}")
    if len(found) != 1:
        raise UsageError("an array makes one image", f"{len(found)} inputs", "name one")
    same, where = fingerprint(found, session, options), source(found[0], options)
    if stage == SCALE:
        with opened(options.out, same, options.resume, options.overwrite, options.work) as space:
            image = where.read()
            sized = at_size(space, found[0], bench, where, image, options)
            shelf = Shelf(space.shelf(key(found[0])) / "0", key(found[0]))
            shelf.save(SIZE, sized)
            shelf.save(SCALE, bench.prepared(replace(where, by=sized.by), None, image).scale)
            session.pieces(_seen(bench, replace(where, by=sized.by), options), shelf=shelf, only=range(0))
        return 1
    mine = JOURNAL if only is None else f"{JOURNAL}.{stage}.{only.start}-{only.stop}"
    space = begun(options.out, same, options.work)
    shelf = Shelf(space.shelf(key(found[0])) / "0", key(found[0]), mine)
    seen, scale = shelf.load(SIZE, Rescaling), shelf.load(SCALE, Scale)
    if seen is None or scale is None:
        raise UsageError("the run was not begun", options.out, f"run it with --stage {SCALE} first")
    here, postprocess = _seen(bench, replace(where, by=seen.by), options, scale), session.model.recipe.postprocess
    kept = session.pieces(here, shelf=shelf, only=only if stage == STAGE else range(0))
    if stage == STAGE:
        return _counted(len(kept.windows), stage, only)
    if left := len(kept.missing()):
        raise UsageError(f"{left} windows are missing", options.out, f"run it with --stage {STAGE} for all of them")
    work, number = divided(kept.lattice, options.block, postprocess), int(stage.partition("-")[2]) - 1
    before, parts = f"reduce-{number}", division(work, kept)
    kind = postprocess.passes()[number - 1].state or Work
    state = shelf.load(before, kind, f"{before}.{parts}") if number else None
    if number and state is None:
        raise UsageError("the pass before is not reduced", options.out, f"run it with --stage {before}")
    _counted(len(work), stage, only)
    todo = [w for w in work_of(number, state, postprocess, kept, work) if only is None or w.block.index in only]
    fragments = shelved(postprocess, kept, number, todo, len(todo), shelf)
    if stage.startswith("reduce"):
        shelf.save(stage, reduced(postprocess, number, fragments, state, session.backend), f"{stage}.{parts}")
    return len(work)


def _counted(parts: int, stage: str, only: range | None) -> int:
    """How many parts a stage has, of which there must be some among those that are asked for."""
    if only is not None and only.start >= parts:
        asked = f"--only-blocks {only.start}:{only.stop}"
        raise UsageError(f"stage {stage} has {parts} parts, none of these", asked, f"the last is {parts - 1}")
    return parts


def _seen(bench: Bench, where: Source, options: Options, scale: Scale | None = None) -> Prepared:
    """What the network sees of an image, and what is left out of that."""
    here = bench.prepared(where, scale)
    lattice = bench.session.lattice(here)
    return replace(here, void=numbers(hulls(options.skip, lattice, here.shape, here.image.name), lattice))


def script(words: Sequence[str], session: Session, ahead: Plan) -> str:
    """A shell script that hands the stages of a run to `sbatch`, each after the one before."""
    run = shlex.join(["seg", *words])
    lines = ["#!/bin/bash", "set -euo pipefail", "after="]
    for stage in stages(session):
        parts = {SCALE: 1, STAGE: ahead.windows}.get(stage, 1 if stage.startswith("reduce") else ahead.blocks)
        size = -(-parts // JOBS)
        jobs = -(-parts // size)
        command = f"{run} --yes --stage {stage}"
        array = ""
        if jobs > 1:
            array = f" --array=0-{jobs - 1}"
            command += f" --only-blocks $((SLURM_ARRAY_TASK_ID * {size})):$(((SLURM_ARRAY_TASK_ID + 1) * {size}))"
        lines += [f"after=--dependency=afterok:$(sbatch --parsable $after{array} --wrap {shlex.quote(command)})"]
    lines += [f"sbatch --parsable $after --wrap {shlex.quote(run + ' --yes --resume')}"]
    return "\n".join(lines) + "\n"
