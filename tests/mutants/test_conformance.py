"""The conformance suite finds nothing wrong with a sound plugin; what it finds otherwise, `make mutants` tells."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from toolkit.testing import LossTests, MetricTests, NetworkTests, PostProcessorTests, RecipeTests
from toolkit.testing.ideal import drawn
from toolkit.testing.suite import outcome

HERE = Path(__file__).parent / "plugin"


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(HERE)
    invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "sound"]:
        del sys.modules[name]


def found(tests: type, **about: Any) -> list[str]:
    """What the suite says is wrong; the first thing is enough."""
    instance = type("Tests", (tests,), about)()
    names = sorted(name for name in dir(instance) if name.startswith("test_") and "gpu" not in name)
    said = (outcome("it", name, getattr(instance, name)) for name in names)
    wrong = next((each for each in said if each.state == "failed"), None)
    return [f"{wrong.check}: {wrong.why}"] if wrong else []


def spec(module: str, name: str) -> Any:
    return getattr(import_module(f"sound.{module}"), name)()


@pytest.mark.slow
def test_nothing_is_wrong_with_the_metric() -> None:
    assert found(MetricTests, spec=spec("metric", "SoundMetric"), ndims=(2,)) == []


@pytest.mark.slow
def test_nothing_is_wrong_with_the_loss() -> None:
    assert found(LossTests, spec=spec("learning", "SoundLoss"), ndims=(2,)) == []


def test_nothing_is_wrong_with_the_network() -> None:
    assert found(NetworkTests, spec=spec("network", "SoundNetwork"), ndims=(2,)) == []


@pytest.mark.slow
def test_nothing_is_wrong_with_the_exact_objects() -> None:
    heads = staticmethod(drawn)
    assert found(PostProcessorTests, spec=spec("objects", "Exact"), ndims=(2,), heads=heads) == []


@pytest.mark.slow
def test_nothing_is_wrong_with_the_stitched_objects() -> None:
    heads = staticmethod(drawn)
    assert found(PostProcessorTests, spec=spec("objects", "stitched"), ndims=(2,), heads=heads) == []


@pytest.mark.slow
def test_nothing_is_wrong_with_the_classic_method() -> None:
    assert found(RecipeTests, name="sound:sound-classic") == []


@pytest.mark.slow
def test_nothing_is_wrong_with_the_recipe() -> None:
    assert found(RecipeTests, name="sound:sound") == []


def test_every_hook_gives_something() -> None:
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.testing.subjects import checks

    subjects = dict(checks(Catalogue().use("sound")))
    assert {subject.partition(" ")[0] for subject in subjects} == {
        "network",
        "loss",
        "metric",
        "recipe",
        "post-processor",
    }
