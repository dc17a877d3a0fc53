"""Images in, a folder of results out: what `seg run` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from toolkit.errors import InputError, Interrupted, PluginError, ToolkitError, UsageError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Model
from toolkit.pipeline.session import Session
from toolkit.pipeline.workers import workers
from toolkit.running.one import Done, key, one_image
from toolkit.running.options import Options
from toolkit.running.record import record, stamp, versions
from toolkit.running.workspace import Workspace, opened
from toolkit.steps.void import OPTION

PREVIEWS = 50
"""Of so many images, the first, a picture is written."""


@dataclass(frozen=True)
class Outcome:
    """A whole run: the images and the record that was written."""

    done: tuple[Done, ...]
    record: dict[str, Any] = field(repr=False)

    @property
    def failure(self) -> type[InputError | PluginError]:
        """Whose fault it is that images failed: a plugin's, if one of them is."""
        return PluginError if any(d.code == PluginError.exit_code for d in self.done) else InputError

    @property
    def failed(self) -> tuple[Done, ...]:
        return tuple(d for d in self.done if d.error)


def run(
    found: Sequence[Found],
    bench: Bench,
    options: Options,
    tell: Callable[[Done], None] = lambda _: None,
    allow: tuple[str, ...] | None = None,
) -> Outcome:
    """Segment all images into `options.out`, which appears when all are done.

    A bad image among several is listed in the outcome and the others are done; if none can be done, its error is
    raised and nothing is written. Pictures are of the first `PREVIEWS` images. With `resume`, images that were finished
    by a run that was stopped are kept.
    """
    if options.skip and len(found) > 1:
        raise UsageError("parts are left out of one image", f"{len(found)} inputs, {OPTION}", "name one")
    session, package = bench.session, bench.session.model
    model = Model.of(package, session.backend, allow, session.engine)
    began = time.time()
    found = [replace(one, preview=number < PREVIEWS) for number, one in enumerate(found)]
    with opened(
        options.out, fingerprint(found, session, options), options.resume, options.overwrite, options.work
    ) as space:
        skip = list(options.skip)
        before = {name: row for name, row in space.done().items() if row.pop("skip", []) == skip}
        todo = [f for f in found if key(f) not in before]
        results = {name: Done(**{k: v for k, v in row.items() if k != "key"}) for name, row in before.items()}
        across = len(todo) > 1 and options.workers > 1 and not options.scheduler
        make = partial(Bench.of, model) if across else lambda: bench
        with (
            _resumable(results, len(found), space),
            workers(options.workers if across else 1, make) as over_images,
        ):
            job = partial(one_image, model, options, space, 1 if across else options.workers)
            for one, done in zip(todo, over_images(job, todo), strict=True):
                if done.error is None:
                    space.finish(key(one), asdict(done) | {"skip": skip})
                    space.forget(key(one))
                results[key(one)] = done
                tell(done)
            outcome = tuple(results[key(f)] for f in found)
            if all(d.error for d in outcome):
                raise Outcome(outcome, {}).failure(
                    f"no image could be segmented ({len(found)} tried)" if len(found) > 1 else str(outcome[0].error),
                    outcome[0].error if len(found) > 1 else "",
                )
        written = record(package, model, options.kept(), [asdict(d) for d in outcome])
        written |= {"seconds": round(time.time() - began, 3)}
        space.publish(written)
    return Outcome(outcome, written)


@contextmanager
def _resumable(results: dict[str, Done], total: int, space: Workspace) -> Iterator[None]:
    """Say what an error leaves to go on from."""
    try:
        yield
    except (ToolkitError, KeyboardInterrupt) as error:
        finished = sum(1 for done in results.values() if done.error is None)
        parts = space.parts()
        done = [f"{finished} of {total} images are done"] if finished else []
        done += [f"{parts} parts of {'another' if finished else 'the image'}"] if parts else []
        kept = " and ".join(done) + (" and kept for --resume" if finished else " are kept for --resume") if done else ""
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("interrupted", space.out, kept) from error
        error.add(kept)
        raise


def fingerprint(found: Sequence[Found], session: Session, options: Options) -> dict[str, Any]:
    """All that decides what is written."""
    package = session.model
    return {
        "model": package.sha256,
        "recipe": package.recipe.plain(),
        "engine": session.engine.plain(),
        "inputs": [(str(f.path.absolute()), stamp(f.path)) for f in found],
        **options.deciding(package.recipe.postprocess.exact),
        "versions": versions(),
    }
