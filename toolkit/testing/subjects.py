"""What of a plugin can be tested, and by which tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any, Literal
from unittest import SkipTest

from toolkit.errors import ToolkitError
from toolkit.plugins.catalogue import Catalogue, Loaded
from toolkit.plugins.collect import FAMILIES, WORDS
from toolkit.plugins.ranking import following
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import Loss, Network, PostProcessor
from toolkit.steps.survey import Survey
from toolkit.testing import LossTests, MetricTests, NetworkTests, PostProcessorTests, RecipeFormTests, RecipeTests
from toolkit.testing.ideal import DRAWN, Taught, drawn
from toolkit.testing.scenes import SHAPES, examples
from toolkit.values.prediction import Head

MANY = 512 * prod(SHAPES[2])
"""Outputs for all voxels of a scene beyond which a recipe is not run: on a CPU each test would take minutes."""


ON_GPU = "it works on a GPU alone, and these checks are those of a CPU: write tests of your own for it"


def checks(loaded: Loaded) -> Iterator[tuple[str, type]]:
    """`(subject, class of its tests)` for everything that a plugin brings."""
    plugin = loaded.plugin.name
    module = loaded.plugin.entry.load()
    for family in FAMILIES:
        if hasattr(module, f"seg_{family}") and not loaded.items[family]:
            why = "it returns nothing" + ("; does the wheel contain the YAML files?" if family == "recipes" else "")
            yield f"hook seg_{family}", _refused(why, "failed")
    for kind, spec in loaded.items["networks"].items():
        made = _default(spec)
        ndims = tuple(n for n in (2, 3) if made is not None and _works(made.stride, n))
        unfit = _unfit(made, ndims)
        tests = _refused(unfit, "skipped") if unfit else _tests(NetworkTests, made, ndims=ndims)
        yield f"{WORDS['networks']} {kind}", tests
    for kind, spec in loaded.items["losses"].items():
        made = _deduced(_default(spec))
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
        if any(spec.needs_gpu for spec in recipe.specs):
            yield subject, _refused(ON_GPU, "skipped")
        elif any(loss.prepares for loss in recipe.losses):
            yield subject, _refused("it is the first step of a training, whose heads mean nothing yet", "skipped")
        else:
            outputs = _outputs(recipe)
            same = "a recipe with fewer outputs and the same network, losses and post-processor is"
            many = outputs // prod(SHAPES[recipe.ndim])
            large = f"its heads have {many} outputs; inherit from toolkit.testing.RecipeTests with `changes`"
            changes = following(recipe, _small(recipe.ndim))
            if _outputs(recipe.changed(changes, Catalogue(), plugin)) > MANY:
                changes = ()
            why = same if parts in whole else large if outputs > MANY else ""
            yield subject, _recipe(f"{plugin}:{name}", changes, why)
            whole.add(parts)
    for kind, spec in loaded.items["postprocessors"].items():
        if kind not in used:
            yield f"{WORDS['postprocessors']} {kind}", _postprocessor(_default(spec), loaded)


def _postprocessor(made: PostProcessor | None, loaded: Loaded) -> type:
    """Tests of a post-processor that no recipe uses, on ideal heads of a loss that it understands, or drawn ones."""
    if made is None:
        return _tests(PostProcessorTests, None)
    if ndims := tuple(n for n in (2, 3) if _reads(made, DRAWN, n)):
        return _tests(PostProcessorTests, made, ndims=ndims, heads=staticmethod(drawn))
    for loss in filter(None, map(_default, loaded.items["losses"].values())):
        ndims = tuple(n for n in (2, 3) if _works(loss.heads, n) and loss.heads(n) and _reads(made, loss.heads(n), n))
        if ndims:
            return _tests(PostProcessorTests, made, ndims=ndims, heads=staticmethod(Taught((loss,))))
    reason = "nobody knows what its heads should be; inherit from toolkit.testing.PostProcessorTests, or add a recipe"
    return _refused(reason, "skipped")


def _reads(made: PostProcessor, heads: Sequence[Head], ndim: int) -> bool:
    """Whether a post-processor can work on such heads, but not without any."""
    try:
        made.check({head.name: head for head in heads}, ndim)
    except ValueError:
        return False
    return True


def _recipes(plugin: str, names: Iterable[str]) -> tuple[list[tuple[str, Recipe]], list[tuple[str, str]]]:
    """The recipes, those with the fewest outputs first, and why the others cannot be read."""
    catalogue, found, broken = Catalogue(), [], []
    for name in names:
        try:
            owner, path = catalogue.locate("recipes", f"{plugin}:{name}")
            found.append((name, Recipe.load(path, catalogue, owner)))
        except ToolkitError as error:
            broken.append((name, str(error)))
    return sorted(found, key=lambda each: _outputs(each[1])), broken


def _outputs(recipe: Recipe) -> int:
    """Numbers that its network gives for a scene."""
    return sum(head.channels for head in recipe.heads) * prod(SHAPES[recipe.ndim])


def _small(ndim: int) -> Survey:
    """What is known of the objects of the scenes."""
    return Survey.of([scene.truth for scene in examples((ndim,))])


def _recipe(name: str, changes: tuple[str, ...], why: str) -> type:
    """All tests of a recipe, with what it deduces from the small objects of the scenes, or those of its form, with the
    reason why there are no others."""
    if not why:
        return type("Tests", (RecipeTests,), {"name": name, "changes": changes})
    return type("Tests", (RecipeFormTests, _refused(f"not run: {why}", "skipped")), {"name": name})


def _tests(tests: type, spec: Any, **about: Any) -> type:
    if spec is None:
        return _refused("a field has no default; inherit from the tests in toolkit.testing", "skipped")
    if getattr(spec, "needs_gpu", False):
        return _refused(ON_GPU, "skipped")
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
        if network is not None and ndims and not network.needs_gpu:
            network.build(1, (Head("first", 1),), ndims[0])
    except ValueError as error:
        return str(error)
    return ""


def _deduced(spec: Any) -> Any:
    """A spec for the small objects of the scenes, as far as it says what follows from them for any number of axes."""
    if spec is None:
        return None
    said = {name: because.value for name, because in spec.deduced(_small(2)).items()}
    numbers = {name: value for name, value in said.items() if isinstance(value, int | float)}
    return type(spec).model_validate({**spec.model_dump(), **numbers})


def _works(question: Any, ndim: int) -> bool:
    """Whether a spec has an answer for this number of axes."""
    try:
        question(ndim)
    except (ToolkitError, ValueError, NotImplementedError):
        return False
    return True
