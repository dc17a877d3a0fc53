"""A plugin that needs what is not installed says what to install."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.battery.installed import install
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.cli import main
from toolkit.errors import PluginError
from toolkit.plugins import seams
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.lacking import lacking

NEEDS = "Requires-Dist: numpy>=1\nRequires-Dist: nowhere-io>=2,<3\nRequires-Dist: absent; extra == 'more'\n"


@pytest.fixture
def needy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "needy", "needy_plugin", "import nowhere_io.fast")
    with (tmp_path / "needy_plugin-1.0.dist-info" / "METADATA").open("a") as stream:
        stream.write(NEEDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def test_the_requirement_of_the_missing_module_is_named(needy: None) -> None:
    with pytest.raises(PluginError, match=r"No module named 'nowhere_io'; pip install 'nowhere-io<3,>=2'"):
        Catalogue().use("needy")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("no", name="another"), "pip install 'nowhere-io<3,>=2'"),
        (
            ModuleNotFoundError("no", name="needy_plugin.layers"),
            "needy_plugin.layers belongs to a plugin: is its name right, and does the wheel contain all files?",
        ),
        (ModuleNotFoundError("no"), None),
        (ImportError("cannot import name", name="numpy"), None),
        (RuntimeError("no card here"), None),
    ],
)
def test_other_modules_are_those_of_the_first_requirement_that_is_not_there(
    needy: None, error: Exception, said: str | None
) -> None:
    assert lacking("needy_plugin", error) == said


def test_what_is_missing_in_use_is_named_with_its_pip_line(needy: None) -> None:
    spec = type("Needy", (Threshold,), {"__module__": "needy_plugin.inside"})()
    said = r"No module named 'nowhere_io': .*; pip install 'nowhere-io<3,>=2'"
    with pytest.raises(PluginError, match=said), seams.calling(spec, "assemble"):
        raise ModuleNotFoundError("No module named 'nowhere_io'", name="nowhere_io")


@pytest.mark.slow
def test_doctor_says_what_to_install(needy: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "plugin needy: pip install 'nowhere-io<3,>=2'" in capsys.readouterr().out


def test_a_module_that_no_requirement_brings_is_the_authors_fault() -> None:
    said = lacking("numpy", ModuleNotFoundError("no", name="nowhere"))
    assert said == "pip install nowhere, or what has this module: numpy does not say that it needs it"
    assert lacking("no-such-distribution", ModuleNotFoundError("no", name="nowhere")) is None
