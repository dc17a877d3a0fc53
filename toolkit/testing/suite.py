"""All conformance tests of a plugin, without pytest: in a child process, because a test may end or block it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from threading import Timer
from typing import Any, Literal, TextIO
from unittest import SkipTest

from toolkit.errors import ToolkitError
from toolkit.plugins.catalogue import Catalogue, Loaded
from toolkit.plugins.collect import WORDS
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import Loss, Network
from toolkit.testing import LossTests, MetricTests, NetworkTests, RecipeFormTests, RecipeTests
from toolkit.values.prediction import Head

MANY = 512
"""Outputs per voxel beyond which a recipe is not run: on a CPU each test would take minutes."""


@dataclass(frozen=True)
class Outcome:
    """What one check of one subject ("network unet") came to; `why` is empty if it is ok."""

    subject: str
    check: str
    state: Literal["ok", "failed", "skipped"]
    why: str = ""
    seconds: float = 0.0


def run(plugin: str, timeout: float = 300.0) -> Iterator[Outcome]:
    """Run all checks in a child process, as they finish; no check may take longer than `timeout` seconds."""
    # -P: what lies in the working folder must not be imported instead of what is installed.
    command = [sys.executable, "-P", "-m", __name__, plugin]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        running = Outcome(f"plugin {plugin}", "import", "failed")
        timer = Timer(timeout, child.kill)
        timer.start()
        began = time.monotonic()
        for line in child.stdout:
            timer.cancel()
            outcome = Outcome(**json.loads(line))
            if outcome.why == "running":
                running = outcome
            else:
                yield outcome
            timer, began = Timer(timeout, child.kill), time.monotonic()
            timer.start()
        timer.cancel()
        status = child.wait()
    if status != 0:
        late = time.monotonic() - began >= timeout
        why = f"it took longer than {timeout:g} seconds" if late else f"it ended the process with status {status}"
        yield Outcome(running.subject, running.check, "failed", why)


def checks(loaded: Loaded) -> Iterator[tuple[str, type]]:
    """`(subject, class of its tests)` for everything that a plugin brings."""
    plugin = loaded.plugin.name
    for kind, spec in loaded.items["networks"].items():
        made = _default(spec)
        ndims = tuple(n for n in (2, 3) if made is not None and _works(made.stride, n))
        unfit = _unfit(made, ndims)
        tests = _refused(unfit, "skipped") if unfit else _tests(NetworkTests, made, ndims=ndims)
        yield f"{WORDS['networks']} {kind}", tests
    for kind, spec in loaded.items["losses"].items():
        made = _default(spec)
        ndims = tuple(n for n in (2, 3) if made is not None and _works(made.heads, n))
        yield f"{WORDS['losses']} {kind}", _tests(LossTests, made, ndims=ndims)
    for kind, spec in loaded.items["metrics"].items():
        yield f"{WORDS['metrics']} {kind}", _tests(MetricTests, _default(spec))
    used = set()
    recipes, broken = _recipes(plugin, loaded.items["recipes"])
    for name, why in broken:
        yield f"{WORDS['recipes']} {name}", _refused(why, "failed")
    whole = set()
    for name, recipe in recipes:
        subject = f"{WORDS['recipes']} {name}"
        parts = (recipe.network.kind, tuple(loss.kind for loss in recipe.losses), recipe.postprocess.kind, recipe.ndim)
        used.add(recipe.postprocess.kind)
        if any(loss.prepares for loss in recipe.losses):
            yield subject, _refused("it is the first step of a training, whose heads mean nothing yet", "skipped")
        else:
            outputs = sum(head.channels for head in recipe.heads)
            same = "a recipe with fewer outputs and the same network, losses and post-processor is"
            large = f"its heads have {outputs} outputs; inherit from toolkit.testing.RecipeTests with `changes`"
            yield subject, _recipe(f"{plugin}:{name}", same if parts in whole else large if outputs > MANY else "")
            whole.add(parts)
    for kind in loaded.items["postprocessors"].keys() - used:
        reason = "no recipe of the plugin uses it; inherit from toolkit.testing.PostProcessorTests"
        yield f"{WORDS['postprocessors']} {kind}", _refused(reason, "skipped")


def _recipes(plugin: str, names: Iterable[str]) -> tuple[list[tuple[str, Recipe]], list[tuple[str, str]]]:
    """The recipes, those with the fewest outputs first, and why the others cannot be read."""
    catalogue, found, broken = Catalogue(), [], []
    for name in names:
        try:
            owner, path = catalogue.locate("recipes", f"{plugin}:{name}")
            found.append((name, Recipe.load(path, catalogue, owner)))
        except ToolkitError as error:
            broken.append((name, str(error)))
    return sorted(found, key=lambda each: sum(head.channels for head in each[1].heads)), broken


def _recipe(name: str, why: str) -> type:
    """All tests of a recipe, or those of its form, with the reason why there are no others."""
    if not why:
        return type("Tests", (RecipeTests,), {"name": name})
    return type("Tests", (RecipeFormTests, _refused(f"not run: {why}", "skipped")), {"name": name})


def _tests(tests: type, spec: Any, **about: Any) -> type:
    if spec is None:
        return _refused("a field has no default; inherit from the tests in toolkit.testing", "skipped")
    if isinstance(spec, Loss) and not any(spec.heads(ndim) for ndim in about["ndims"]):
        return _refused("it has no heads by default; inherit from toolkit.testing.LossTests", "skipped")
    return type("Tests", (tests,), {"spec": spec, **about})


def _refused(reason: str, state: Literal["failed", "skipped"]) -> type:
    """One test that says why there are no others."""

    def test_it_can_be_tested(self: object) -> None:
        raise SkipTest(reason) if state == "skipped" else AssertionError(reason)

    return type("Refused", (), {"test_it_can_be_tested": test_it_can_be_tested})


def _default(spec: Any) -> Any:
    """The spec with its defaults, or None if a field has none."""
    return None if any(field.is_required() for field in spec.model_fields.values()) else spec()


def _unfit(network: Network | None, ndims: tuple[int, ...]) -> str:
    """Why a network refuses to be built with its defaults, in its own words, or nothing."""
    try:
        if network is not None and ndims:
            network.build(1, (Head("first", 1),), ndims[0])
    except ValueError as error:
        return str(error)
    return ""


def _works(question: Any, ndim: int) -> bool:
    """Whether a spec has an answer for this number of axes."""
    try:
        question(ndim)
    except (ToolkitError, ValueError, NotImplementedError):
        return False
    return True


def outcome(subject: str, name: str, test: Any) -> Outcome:
    """Run one test."""
    check = name.removeprefix("test_").replace("_", " ")
    began = time.monotonic()
    try:
        test()
    except SkipTest as reason:
        return Outcome(subject, check, "skipped", str(reason), time.monotonic() - began)
    # Whatever the code of a plugin raises is what this check is there to find.
    except Exception as error:
        why = str(error) if isinstance(error, AssertionError | ToolkitError) and str(error) else _trace(error)
        return Outcome(subject, check, "failed", why, time.monotonic() - began)
    return Outcome(subject, check, "ok", "", time.monotonic() - began)


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error, limit=-3)).strip()


def _answer(plugin: str, stream: TextIO) -> None:
    """The child's side: one JSON line before each check and one after it."""
    for subject, tests in checks(Catalogue().use(plugin)):
        instance = tests()
        for name in sorted(dir(instance)):
            if name.startswith("test_"):
                _say(stream, Outcome(subject, name, "failed", "running"))
                _say(stream, outcome(subject, name, getattr(instance, name)))


def _say(stream: TextIO, what: Outcome) -> None:
    stream.write(json.dumps(asdict(what)) + "\n")
    stream.flush()


if __name__ == "__main__":
    # The plugin reaches standard output no more, so nothing it prints gets between the lines.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _answer(sys.argv[1], pipe)
    # A thread that the plugin left running must not keep this process.
    os._exit(0)
