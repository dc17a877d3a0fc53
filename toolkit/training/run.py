"""The folder of a training: what may be begun or resumed in it, and all that is written there."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, StorageError, UsageError
from toolkit.files import whole
from toolkit.files.lock import held
from toolkit.gpu.backend import Backend
from toolkit.gpu.cores import cores
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.registry.package import ModelPackage
from toolkit.training import checkpoint, provenance
from toolkit.training.checkpoint import LAST, Progress
from toolkit.training.deduce import smaller
from toolkit.training.log import CSV, PNG, Log, draw

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

NOW = "now.safetensors"
KEPT = "kept.{}.safetensors"


@dataclass(frozen=True, eq=False)
class Run:
    """A folder, the recipe that is trained in it, what it starts from, and how many threads compute.

    `tuning`: the model itself, where the training begins with all its weights and is to end no worse.
    `resume`: go on from its checkpoint, if there is one. `about` is what `training.json` says. All writing is whole or
    not at all, and its errors are `StorageError`s.
    """

    folder: Path
    recipe: Recipe
    start: ModelPackage | None = None
    threads: int = 1
    resume: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    tuning: ModelPackage | None = None

    @property
    def going_on(self) -> bool:
        """Whether there is something to go on from, and that is wanted."""
        return self.resume and (self.folder / LAST).is_file()

    def progress(self) -> Progress:
        """Where the checkpoint is; with another number of threads it would not be the same training."""
        found = checkpoint.read_progress(self.folder / LAST)
        if found.threads != self.threads:
            raise InputError(
                "this training used another number of threads",
                f"{found.threads}, now {self.threads}",
                f"resume with --threads {found.threads}: otherwise it would not be the same training",
            )
        return found

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """The tensors of the checkpoint."""
        return checkpoint.read(self.folder / LAST)

    def store(self, state: State, progress: Progress) -> None:
        """Replace the checkpoint."""
        with writing(self.folder):
            checkpoint.save(self.folder / LAST, state, progress)

    def keep(self, name: str, state: State) -> None:
        """Keep weights for later phases."""
        with writing(self.folder):
            checkpoint.write(self.folder / KEPT.format(name), state)

    def kept(self, network: str, names: Collection[str], backend: Backend) -> tuple[dict[str, torch.Tensor], ...]:
        """Those weights of `network` among the kept ones of these names, on the device."""
        own = [name for name in names if name.split(".")[1] == network]
        found = [checkpoint.read(self.folder / KEPT.format(name)) for name in own]
        return tuple({k: v.to(backend.device) for k, v in state.items()} for state in found)

    def weights(self, state: State) -> None:
        """Replace the weights of the model that the training leaves."""
        with writing(self.folder):
            checkpoint.write(self.folder / package.WEIGHTS, state)

    @contextmanager
    def tried(self, state: State) -> Iterator[tuple[ModelPackage, Callable[[], object]]]:
        """A model with these weights, and what makes it the one that the training leaves."""
        path = self.folder / NOW
        with writing(self.folder):
            checkpoint.write(path, state)
        try:
            model = package.from_files(self.folder / package.RECIPE, path, self.recipe)
            yield model, lambda: path.replace(self.folder / package.WEIGHTS)
        finally:
            path.unlink(missing_ok=True)

    def log(self, upto: int) -> Log:
        """The log, without what came after step `upto`."""
        with writing(self.folder):
            return Log(self.folder, upto)

    def draw(self, metric: str) -> None:
        """Draw the curves of the log."""
        with writing(self.folder):
            draw(self.folder, metric)

    def note(self, **more: Any) -> None:
        """Write the record; `more` is said from now on."""
        self.about.update(more)
        with writing(self.folder):
            provenance.write(self.folder, self.about)

    def smaller(self, catalogue: Catalogue) -> Run | None:
        """The same run with a recipe that takes about half the memory, which is written; None if there is none."""
        changes = smaller(self.recipe)
        return None if changes is None else self.changed(changes, catalogue)

    def changed(self, changes: Sequence[str], catalogue: Catalogue) -> Run:
        """The same run, which goes on with another recipe, which is written; so does whoever resumes it."""
        recipe = self.recipe.changed(changes, catalogue, self.about.get("owner"))
        self.note(smaller=[*self.about.get("smaller", ()), *changes])
        found = replace(self, recipe=recipe, resume=True)
        found.say()
        return found

    def restore(self, recipe: Recipe) -> None:
        """Leave the model that the training began with, which runs as `recipe` says."""
        assert self.start is not None, "only what began with a model has one to go back to"
        self.weights(self.start.build().state_dict())
        same = {"postprocess": recipe.postprocess, "tiling": recipe.tiling}
        replace(self, recipe=self.recipe.model_copy(update=same)).say()

    def say(self) -> None:
        """Write the recipe."""
        with writing(self.folder):
            whole.text(self.folder / package.RECIPE, self.recipe.dump())


@contextmanager
def opened(
    folder: Path,
    recipe: Recipe,
    about: dict[str, Any],
    catalogue: Catalogue,
    *,
    model: ModelPackage | None = None,
    start: ModelPackage | None = None,
    tuning: bool = False,
    threads: int | None = None,
    resume: bool = False,
) -> Iterator[Run]:
    """The run in `folder`, begun or ready to go on, for this process alone.

    Refuses a folder of something else, another recipe, start or other data than it was begun with. `start` is `model`
    as the recipe takes it, `tuning` whether with all its weights. A run that goes on keeps its number of threads and
    what it says of its beginning.
    """
    with ExitStack() as stack:
        with writing(folder):
            if os.path.lexists(folder) and not folder.is_dir():
                raise UsageError("this is no folder", folder, "choose another -o")
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder))
        going_on = resume and (folder / LAST).is_file()
        if resume:
            provenance.same_start(folder, model, going_on)
        if going_on:
            provenance.same_recipe(folder, recipe, about["sha256"])
            threads = threads or checkpoint.read_progress(folder / LAST).threads
            before = package.trained(folder)
            # A record that is older than a field does not say it, nor does this run know it.
            about = {**about, **{name: before.get(name) for name in ("start", "deduced", "held")}}
            about |= {name: before[name] for name in ("smaller", "closing") if name in before}
            recipe = recipe.changed(about.get("smaller") or (), catalogue, about.get("owner"))
        elif not resume:
            unused(folder)
        kept = [path.name for path in folder.glob(KEPT.format("*"))]
        provenance.only_ours(folder, (package.RECIPE, LAST, package.WEIGHTS, NOW, CSV, PNG, *kept), going_on)
        threads = threads or cores()
        run = Run(folder, recipe, start, threads, resume, about | {"threads": threads}, model if tuning else None)
        with writing(folder):
            whole.prune(folder)
        # The record first: where it is, what lies beside it under the names of a training is a training's.
        run.note()
        if not going_on:
            run.say()
        yield run


def unused(folder: Path) -> None:
    """Raise `UsageError` if a training has left weights in a folder."""
    if any(folder.glob("*.safetensors")):
        raise UsageError("the output exists", folder, "choose another -o, or say --resume")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the disk refuses in here is the disk's fault, and said so."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            "cannot write the run", f"{folder} ({error.strerror or error})", "free space, or choose another -o"
        ) from error
