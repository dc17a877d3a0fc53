"""Model packages, our own and those of others, as `ModelPackage`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import ModelError, UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry.bioimageio import formats, synthesis, weights
from toolkit.registry.bioimageio.description import Description
from toolkit.registry.gate import refusing
from toolkit.registry.gate.archive import Files, open_package
from toolkit.registry.gate.fitted import fitted
from toolkit.registry.needs import present
from toolkit.registry.package import ModelPackage, network

if TYPE_CHECKING:
    import torch

    from toolkit.registry.gate.graph import Graph

SCHEMA = "toolkit.package/1"
Trusted = Callable[[str], bool]


def nobody(digest: str) -> bool:
    """Trust no package."""
    return False


@dataclass(frozen=True, eq=False)
class Opened:
    """A package that was read and not run: nothing in it was executed, nothing outside it was opened."""

    files: Files
    description: Description

    @classmethod
    def at(cls, path: Path) -> Opened:
        """The package in a zip or folder; raises `ModelError` if it is damaged or no model package."""
        files = open_package(path)
        return cls(files, formats.read(files))

    @cached_property
    def adapter(self) -> synthesis.Adapter:
        """How to run it on windows, where it brings no recipe."""
        with self.guarded():
            return synthesis.adapter(self.description)

    def guarded(self) -> AbstractContextManager[None]:
        """What is wrong with the model ends in one `ModelError`, whoever finds it, however deep."""
        return refusing("the model is damaged or asks for what makes no sense", self.files.where)

    def load(self, catalogue: Catalogue, reference: str, trusted: Trusted = nobody) -> ModelPackage:
        """The model; `reference` finds it again. Raises `NotTrusted` for code that nobody reviewed or trusts."""
        own = self.description.toolkit
        with self.guarded():
            return self._foreign(catalogue, reference, trusted) if own is None else self._own(own, catalogue, reference)

    def _foreign(self, catalogue: Catalogue, reference: str, trusted: Trusted) -> ModelPackage:
        choice = weights.choose(self.description, self.files, trusted, reference)
        adapter = self.adapter

        def build() -> torch.nn.Module:
            from toolkit.registry.bioimageio.module import Foreign

            with self.guarded():
                return Foreign(adapter.description, adapter, weights.network(choice, self.files)).eval()

        recipe = synthesis.recipe(adapter, catalogue)
        found = self._package(recipe, "builtin", reference, build, adapter.notes)
        return replace(found, trusted=choice.tier == "code")

    def _own(self, own: Mapping[str, Any], catalogue: Catalogue, reference: str) -> ModelPackage:
        where = f"{self.files.where}: config.toolkit"
        with refusing("what this toolkit wrote into the package is damaged", where):
            owner, data, source = own["owner"], dict(own["recipe"]), dict(own["weights"])
            plugins, distributions = dict(own["plugins"]), dict(own.get("distributions") or {})
            if not isinstance(owner, str | None):
                raise ValueError("the owner is no name")
            if own["schema"] != SCHEMA:
                raise ModelError("this package is of another version of the toolkit", f"{where}: {own['schema']}",
                                 "update the toolkit")  # fmt: skip
        present(map(str, plugins), distributions, catalogue, reference)
        try:
            recipe = Recipe.parse(data, catalogue, owner)
        except UsageError as error:
            raise ModelError("the recipe in the package is not valid", f"{where}: {error}",
                             f"it was written with {_versions(plugins)}") from error  # fmt: skip

        def build() -> torch.nn.Module:
            with self.guarded():
                name = str(source["source"])
                where = f"{self.files.where}: {name}"
                state = weights.read_state(self.files.read(name, str(source["sha256"])), where)
                return fitted(lambda: network(recipe), state, where).eval()

        found = self._package(recipe, owner, reference, build)
        return replace(found, graph=partial(self._graph, own, recipe)) if "onnx" in self.description.weights else found

    def _graph(self, own: Mapping[str, Any], recipe: Recipe) -> Graph:
        """The graph of our own package, once it has given the test output of the package."""
        from toolkit.registry.bioimageio.proved import proved
        from toolkit.registry.gate import graph

        with self.guarded():
            file = self.description.weights["onnx"].file
            data = self.files.read(file.name, file.sha256)
            where = f"{self.files.where}: {file.name}"
            made = graph.load(data, self.files.read, where, [graph.CPU], len(data))
            proved(made, self.description, self.files, str(own["test"]["dtype"]), recipe)
            return made

    def _package(
        self,
        recipe: Recipe,
        owner: str | None,
        reference: str,
        build: Callable[[], torch.nn.Module],
        notes: tuple[str, ...] = (),
    ) -> ModelPackage:
        return ModelPackage(
            name=recipe.name,
            recipe=recipe,
            owner=owner,
            sha256=self.files.digest,
            source=self.files.where,
            reference=reference,
            heads=recipe.heads,
            build=build,
            version=self.description.version,
            licence=self.description.licence,
            notes=notes,
        )


def _versions(plugins: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in plugins.items()) or "no plugin"
