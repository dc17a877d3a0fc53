"""A wheel as it would be installed: what is in it, and an environment in which nothing else of it can be found."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from toolkit.errors import InputError, PluginError, ToolkitError, UsageError
from toolkit.plugins import GROUP
from toolkit.plugins.card import Card
from toolkit.testing.suite import Outcome

LARGEST = 100 * 2**20
"""Bytes of a wheel that the package index takes from everybody."""


@dataclass(frozen=True)
class There:
    """An installed wheel: the name of its plugin, its folder, and the environment of processes that have it."""

    plugin: str
    wheel: Path
    folder: Path
    about: Distribution
    environment: Mapping[str, str]

    def looked_at(self) -> Iterator[Outcome]:
        """What can be told of the files."""
        subject = f"wheel {self.wheel.name}"
        checks: dict[str, Callable[[], str]] = {
            "it says its licence": self._licence,
            "what it needs is here": self._needs,
            "each model has a recipe": self._recipes,
            "each model has a card that says a licence": self._cards,
            "it is not too large": self._size,
        }
        for what, wrong in checks.items():
            try:
                why = wrong()
            except ToolkitError as error:
                why = str(error)
            yield Outcome(subject, what, "failed" if why else "ok", why)

    def _licence(self) -> str:
        about: Any = self.about.metadata
        files = [f for f in self.about.files or () if "LICEN" in f.name.upper() or "COPYING" in f.name.upper()]
        if not (about.get("License-Expression") or about.get("License")):
            return 'write license = "BSD-3-Clause", or another one, into pyproject.toml'
        return "" if files else 'write license-files = ["LICENSE"] into pyproject.toml'

    def _needs(self) -> str:
        from packaging.requirements import Requirement

        for text in self.about.requires or ():
            need = Requirement(text)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            try:
                found = version(need.name)
            except PackageNotFoundError:
                return f"{need.name} is not installed: pip install '{need.name}{need.specifier}'"
            if not need.specifier.contains(found, prereleases=True):
                return f"{need.name} is {found}: pip install '{need.name}{need.specifier}'"
        return ""

    def _recipes(self) -> str:
        weights = [f for f in self.folder.rglob("*.safetensors") if not f.with_suffix(".yaml").is_file()]
        return f"{weights[0].name} has no recipe beside it" if weights else ""

    def _cards(self) -> str:
        for weights in sorted(self.folder.rglob("*.safetensors")):
            if Card.beside(weights.with_suffix(".yaml")).licence == "unknown":
                return f"write {weights.stem}.md beside {weights.name}, with a line `licence:` between two lines ---"
        return ""

    def _size(self) -> str:
        size = self.wheel.stat().st_size
        return f"it has {size >> 20} MB: leave weights to a model package" if size > LARGEST else ""


@contextmanager
def installed(wheel: Path) -> Iterator[There]:
    """The wheel in a folder of its own, with what is installed here but not what lies in the working folder.

    Raises `InputError` if it is no wheel, `UsageError` if it has no plugin, `PluginError` if it cannot be installed.
    """
    if not wheel.is_file() or not zipfile.is_zipfile(wheel) or wheel.suffix != ".whl":
        raise InputError("this is no wheel", wheel, "make one: python -m build --wheel")
    if importlib.util.find_spec("pip") is None:
        raise UsageError("pip is not here to install a wheel", sys.prefix, "python -m ensurepip")
    with TemporaryDirectory(prefix="seg-wheel-") as scratch:
        folder = Path(scratch).resolve() / "site"
        command = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
        done = subprocess.run(
            [*command, "--target", str(folder), str(wheel.absolute())], capture_output=True, text=True, cwd=scratch
        )
        if done.returncode:
            raise PluginError("this wheel cannot be installed", wheel, done.stderr.strip().splitlines()[-1])
        about = PathDistribution(next(folder.glob("*.dist-info")))
        entries = [entry for entry in about.entry_points if entry.group == GROUP]
        if len(entries) != 1:
            raise UsageError(f"this wheel offers {len(entries)} plugins", wheel, f"one entry point in {GROUP}")
        places = os.pathsep.join([str(folder), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": places, "TOOLKIT_PLUGINS": entries[0].name}
        yield There(entries[0].name, wheel, folder, about, environment)
