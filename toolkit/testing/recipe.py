"""What every recipe keeps to: its network, losses and post-processor fit together."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from toolkit.files import plain_yaml
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.testing.blockwise import Heads
from toolkit.testing.descent import descend, tensors
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

    def test_the_network_can_be_built(self) -> None:
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
    _ideal: ClassVar[dict[str, Heads]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "recipe"):
            cls.spec = cls.recipe.postprocess
            cls.ndims = (cls.recipe.ndim,)
            cls._ideal = {}

    def heads(self, scene: Scene) -> Heads:
        # A scene is told by its objects; descending for one takes a second, and every test wants it.
        key = f"{scene.shape}{scene.instances.digest}"
        if key not in self._ideal:
            self._ideal[key] = descend(self.recipe.losses, scene.truth, self.steps)[0]
        return {name: head.copy() for name, head in self._ideal[key].items()}

    def test_training_lowers_the_loss(self) -> None:
        _, seen = self._trained(self._small())
        assert min(seen[-3:]) < seen[0], f"{len(seen)} steps led from {seen[0]} to {seen[-1]}"

    def test_a_training_goes_on_exactly_in_every_phase(self) -> None:
        small = self._small()
        phases_go_on_exactly(small, self._scene(small, small.training.crop))

    def test_a_saved_model_gives_the_same_instances(self) -> None:
        from toolkit.pipeline.segment import segment
        from toolkit.registry import resolve

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

        from toolkit.pipeline.session import prepare
        from toolkit.registry import package
        from toolkit.steps import normalise

        scene = self._scene(recipe, recipe.training.crop)
        image = prepare(scene.image, recipe)
        voxels = torch.from_numpy(normalise.fit(image, recipe.normalise)(image.read()))[None]
        criteria = [(loss.build(), tensors(loss.targets(scene.truth))) for loss in recipe.losses]
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
        from dataclasses import replace

        from toolkit.registry import package

        (folder / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
        package.save(module, folder / package.WEIGHTS)
        plugin = self.name.rpartition(":")[0] or None
        written = package.from_files(folder / package.RECIPE, folder / package.WEIGHTS, recipe, plugin)
        return replace(written, build=lambda: module)
