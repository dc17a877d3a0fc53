"""What every recipe keeps to: its network, losses and post-processor fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

import numpy as np

from toolkit.files import plain_yaml
from toolkit.pipeline.prepared import prepare
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.steps import normalise
from toolkit.testing.blockwise import Heads
from toolkit.testing.descent import targets
from toolkit.testing.ideal import Taught
from toolkit.testing.phases import phases_go_on_exactly
from toolkit.testing.postprocessor import PostProcessorTests
from toolkit.testing.scenes import SHAPES, Scene, blobs

if TYPE_CHECKING:
    import torch

    from toolkit.registry.package import ModelPackage


class RecipeFormTests:
    """What can be told of a recipe without running it: enough for a larger variant of one that is tested whole."""

    name: ClassVar[str]
    """The recipe, `plugin:name`."""
    changes: ClassVar[tuple[str, ...]] = ()
    """Changes `section.field=value` that make it smaller for tests."""
    recipe: ClassVar[Recipe]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "name"):
            catalogue = Catalogue()
            plugin, path = catalogue.locate("recipes", cls.name)
            cls.recipe = Recipe.load(path, catalogue, plugin, cls.changes)

    def test_it_survives_being_written_and_read(self) -> None:
        data = plain_yaml.load(self.recipe.dump().encode())
        again = Recipe.parse(data, Catalogue(), self.name.rpartition(":")[0] or None)
        assert again == self.recipe, "writing and reading changed it"

    def test_the_postprocessor_accepts_the_heads(self) -> None:
        self.recipe.expects(self.recipe.heads)

    def test_a_model_has_a_card_with_a_licence(self) -> None:
        path = Catalogue().find("recipes", self.name)
        if path.with_suffix(".safetensors").is_file():
            assert path.with_suffix(".md").is_file(), f"{path.stem}.md is missing beside the weights"
            assert Card.beside(path).licence != "unknown", f"{path.stem}.md says no licence between its lines ---"

    def test_the_network_can_be_built(self) -> None:
        if self.recipe.network.untrained:
            raise SkipTest("it has no network")
        import torch

        from toolkit.registry import package

        with torch.device("meta"):
            package.network(self.recipe)


class RecipeTests(RecipeFormTests, PostProcessorTests):
    """Subclass it, set `name`, and pytest runs these tests, and those of its post-processor, on your recipe.

    Ideal heads come from descent on the losses alone, so the inherited tests tell whether the post-processor
    understands what the losses ask for.
    """

    steps: ClassVar[int] = 300
    """Steps of the descent."""
    _ideal: ClassVar[Taught]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "recipe"):
            cls.spec = cls.recipe.postprocess
            cls.ndims = (cls.recipe.ndim,)
            cls._ideal = Taught(cls.recipe.losses, cls.steps)

    def heads(self, scene: Scene) -> Heads:
        if self.recipe.network.untrained:
            image = prepare(scene.image, self.recipe)
            return {"image": normalise.fit(image, self.recipe.normalise)(image.read())}
        return self._ideal(scene)

    def _crowd(self, scene: Scene, times: int) -> Heads:
        if self.recipe.network.untrained:
            return super()._crowd(scene, times)
        return {name: np.tile(head, times) for name, head in self.heads(scene).items()}

    def test_it_learns_or_has_no_weights(self) -> None:
        assert self.recipe.network.untrained != bool(self.recipe.losses)

    def test_training_lowers_the_loss(self) -> None:
        self._learns()
        _, seen = self._trained(self._small())
        assert min(seen[-3:]) < seen[0], f"{len(seen)} steps led from {seen[0]} to {seen[-1]}"

    def test_a_training_goes_on_exactly_in_every_phase(self) -> None:
        self._learns()
        small = self._small()
        phases_go_on_exactly(small, self._scene(small, small.training.crop))

    def test_a_saved_model_gives_the_same_instances(self) -> None:
        from toolkit.pipeline.segment import segment
        from toolkit.registry import resolve

        self._learns()
        small = self._small()
        module, _ = self._trained(small)
        image = self._scene(small, SHAPES[small.ndim]).image
        with TemporaryDirectory() as folder:
            found = [segment(image, self._saved(small, module, Path(folder)), device="cpu")]
            loaded = resolve.load(folder, Catalogue(), self.name.rpartition(":")[0] or None)
            found += [segment(image, loaded, device="cpu")]
            if self.spec.exact:
                found += [segment(image, loaded, device="cpu", block=min(small.tiling.window))]
        assert found[0] == found[1], f"{len(found[0])} objects before saving, {len(found[1])} or others after"
        assert found[0] == found[-1], f"{len(found[0])} objects in one block, {len(found[-1])} or others in several"

    def test_the_scale_of_intensities_does_not_matter(self) -> None:
        from toolkit.pipeline.segment import segment

        small = self._small()
        image = self._scene(small, SHAPES[small.ndim]).image
        voxels = np.asarray(image.read())
        voxels.flags.writeable = False
        seen = [replace(image, source=v) for v in (voxels, voxels.astype(np.uint16) * 256, voxels / np.float32(256))]
        with TemporaryDirectory() as folder:
            model = self._model(small, Path(folder))
            found = [segment(one, model, device="cpu") for one in seen]
        assert found[0] == found[1] == found[2], (
            f"{[len(f) for f in found]} objects in one image of 8 bits, of 16 bits and of fractions: say how it is "
            "normalised, and use no number that means an intensity"
        )

    def _model(self, recipe: Recipe, folder: Path) -> ModelPackage:
        """The recipe as a model: after a few steps of training, or without any if there is nothing to learn."""
        if recipe.network.untrained:
            from toolkit.registry import resolve

            return resolve.load(self.name, Catalogue()).with_recipe(recipe)
        return self._saved(recipe, self._trained(recipe)[0], folder)

    def _learns(self) -> None:
        if self.recipe.network.untrained:
            raise SkipTest("it learns nothing")

    def _small(self) -> Recipe:
        """The recipe with windows and crops that are quick on a CPU."""
        least = 48 if self.recipe.ndim == 2 else 16
        window = [s * -(-least // s) for s in self.recipe.network.stride(self.recipe.ndim)]
        changes = [f"tiling.window={window}", f"tiling.overlap={min(window) // 4}", f"training.crop={window}"]
        data = self.recipe.changed(changes, Catalogue(), self.name.rpartition(":")[0] or None)
        assert isinstance(data, Recipe)
        return data

    def _scene(self, recipe: Recipe, shape: tuple[int, ...]) -> Scene:
        wanted = recipe.input.channels
        one = wanted == "auto" and not recipe.input.learnt
        numbers = [c for c in wanted if isinstance(c, int)] if isinstance(wanted, tuple) else []
        channels = 1 if one else max(numbers) + 1 if numbers else 3
        return blobs(shape, count=5, radius=(5.0, 7.0), seed=1, channels=channels)

    def _trained(self, recipe: Recipe, steps: int = 12) -> tuple[torch.nn.Module, list[float]]:
        """A network after a few steps on one crop, and the losses seen."""
        import torch

        from toolkit.registry import package

        scene = self._scene(recipe, recipe.training.crop)
        image = prepare(scene.image, recipe)
        voxels = torch.from_numpy(normalise.fit(image, recipe.normalise)(image.read()))[None]
        criteria = [(loss.build(), targets(loss, scene.truth)) for loss in recipe.losses]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = package.network(recipe).train()
            optimiser = torch.optim.Adam(module.parameters(), lr=recipe.training.learning_rate)
            seen = []
            for _ in range(steps):
                torch.manual_seed(0)  # the same dropout in every step, so that losses compare
                optimiser.zero_grad()
                raw = module(voxels)
                terms: list[Any] = [t for module_, targets in criteria for t in module_(raw, targets).values()]
                total = torch.stack(terms).sum()
                torch.autograd.backward(total)
                optimiser.step()
                seen.append(float(total.detach()))
        return module.eval(), seen

    def _saved(self, recipe: Recipe, module: torch.nn.Module, folder: Path) -> ModelPackage:
        """The model as it is in memory; also written to `folder`."""
        from toolkit.registry import package

        (folder / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
        package.save(module, folder / package.WEIGHTS)
        plugin = self.name.rpartition(":")[0] or None
        written = package.from_files(folder / package.RECIPE, folder / package.WEIGHTS, recipe, plugin)
        return replace(written, build=lambda: module)
