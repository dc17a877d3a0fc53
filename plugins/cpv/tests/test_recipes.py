"""Every recipe loads, learns a little, and its network and post-processor go together."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toolkit_cpv
import torch
from cpv_scenes import labels
from toolkit_cpv.network import CpvUNet

from toolkit.api import Backend, Box, Head, Prediction, Truth, UsageError
from toolkit.testing import Catalogue, Recipe, activate

RECIPES = Path(toolkit_cpv.__file__).parent / "recipes"
BASES = ("three-label", "three-label-cpv", "sdt", "sdt-cpv", "affinities", "affinities-cpv", "gauss")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def small(name: str, catalogue: Catalogue) -> Recipe:
    crop = "[8, 24, 24]" if name.endswith("-3d") else "[32, 32]"
    changes = [
        f"training.crop={crop}",
        f"tiling.window={crop}",
        "tiling.overlap=4",
        "network.maps=4",
        "network.growth=2",
    ]
    return Recipe.load(RECIPES / f"{name}.yaml", catalogue, "cpv", changes)


def scene(shape: tuple[int, ...]) -> tuple[torch.Tensor, Truth]:
    image = labels(3, shape, 5, 7.0)
    voxels = (image > 0) + np.random.default_rng(0).normal(0, 0.1, shape)
    return torch.from_numpy(voxels[None, None].astype(np.float32)), Truth.from_layers(image[None])


def test_there_is_a_recipe_for_each_model_of_the_paper_in_2d_and_3d(catalogue: Catalogue) -> None:
    names = set(catalogue.use("cpv").items["recipes"])
    assert names == {"cpv", "affinities-isbi2012"} | {f"{base}{end}" for base in BASES for end in ("", "-3d")}


def test_the_plugin_is_light_until_something_is_built() -> None:
    heavy = {"torch", "scipy", "skimage", "numba", "edt"}
    code = f"import sys, toolkit_cpv; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", [f"{base}{end}" for base in BASES for end in ("", "-3d")])
def test_a_recipe_loads_and_a_training_step_lowers_its_loss(name: str, catalogue: Catalogue) -> None:
    whole = Recipe.load(RECIPES / f"{name}.yaml", catalogue, "cpv")
    assert whole.name == name
    assert Recipe.parse(whole.plain(), catalogue, "cpv") == whole
    whole.postprocess.check({head.name: head for head in whole.heads}, whole.ndim)
    assert ("cpv" in {head.name for head in whole.heads}) == ("-cpv" in name)

    recipe = small(name, catalogue)
    torch.manual_seed(0)
    module = recipe.network.build(1, recipe.heads, recipe.ndim).train()
    voxels, truth = scene(recipe.training.crop)
    targets = [{k: torch.from_numpy(v)[None] for k, v in loss.targets(truth).items()} for loss in recipe.losses]
    criteria = [loss.build() for loss in recipe.losses]
    optimiser = torch.optim.Adam(module.parameters(), 1e-3)

    def cost() -> torch.Tensor:
        heads = module(voxels)
        parts = [sum(c(heads, t).values()) for c, t in zip(criteria, targets, strict=True)]
        return torch.stack(parts).sum()

    before = cost()
    before.backward()
    optimiser.step()
    assert cost().item() < before.item()

    module.eval()
    with torch.inference_mode():
        raw = module(voxels)
        heads = {head.name: activate(raw[head.name], head)[0].numpy() for head in recipe.heads}
    box = Box.whole(truth.shape)
    found = recipe.postprocess.assemble(Prediction(heads, box, box, box.shape, truth.voxel_size), Backend())
    assert found.shape == truth.shape


@pytest.mark.parametrize("base", ["builtin:unet", "cpv:affinities", "embedseg:embedseg"])
def test_any_recipe_can_be_trained_with_vectors_beside_it(base: str, catalogue: Catalogue) -> None:
    plugin = base.partition(":")[0]
    path = catalogue.find("recipes", base)
    recipe = Recipe.load(path, catalogue, plugin, ["auxiliary=cpv"])
    assert recipe.heads[-1] == Head("cpv", 2, transform="vector")
    module = recipe.network.build(1, recipe.heads, 2)
    voxels, truth = scene((32, 32))
    found = module(voxels)
    assert recipe.auxiliary is not None
    targets = {k: torch.from_numpy(v)[None] for k, v in recipe.auxiliary.targets(truth).items()}
    (term,) = recipe.auxiliary.build()(found, targets).values()
    term.backward()
    assert term.item() > 0


def test_the_published_network_has_its_maps_and_sees_23_voxels_around() -> None:
    torch.manual_seed(0)
    module = CpvUNet().build(1, (Head("a", 3),), 2).eval()
    widths = [conv.out_channels for conv in module.modules() if isinstance(conv, torch.nn.Conv2d)]
    assert widths == [10, 10, 40, 40, 160, 160, 40, 40, 10, 10, 3]
    reach = 0
    for at in range(48, 52):
        image = torch.rand((1, 1, 100, 100), requires_grad=True)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.abs_()
        module(image)["a"][0, 0, at, at].backward()
        seen = np.argwhere(image.grad[0, 0].numpy() != 0)
        reach = max(reach, int(np.abs(seen - at).max()))
    assert reach == 23


def test_pooling_may_spare_thick_slices() -> None:
    spec = CpvUNet(maps=2, pooling=((1, 2, 2), 2))
    assert spec.stride(3) == (2, 4, 4)
    module = spec.build(1, (Head("a", 1), Head("b", 3, initial=0.25)), 3).eval()
    with torch.inference_mode():
        heads = module(torch.rand((1, 1, 2, 8, 4)))
    assert heads["a"].shape == (1, 1, 2, 8, 4)
    assert (heads["b"] == 0.25).all()


def test_a_pooling_of_the_wrong_length_is_refused_with_a_sentence(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="3 levels need one fewer"):
        Recipe.load(RECIPES / "sdt.yaml", catalogue, "cpv", ["network.pooling=[2]"])
