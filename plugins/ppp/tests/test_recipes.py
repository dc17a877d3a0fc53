"""Every recipe loads, learns a little, and its network and post-processor go together."""

from pathlib import Path

import numpy as np
import pytest
import toolkit_ppp
import torch

from toolkit.api import Backend, Box, Prediction
from toolkit.testing import Catalogue, Recipe, activate, blobs, channels, worms

RECIPES = Path(toolkit_ppp.__file__).parent / "recipes"
NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))
PAPER = {
    "ppp", "dec", "dec-components", "dec-mws-dense", "dec-no-selection", "dec-no-thin", "dec-standard-unet",
    "dec-nuclei", "ae", "ae-codes", "ed", "3d", "neurons", "isbi2012",
}  # fmt: skip
"""The set-ups of the paper."""
SMALL = {
    "ppp_unet": (),
    "ppp_coded": ("network.code=50", "network.coder_levels=1", "network.coder_maps=2"),
    "ppp_window": ("network.window_maps=2", "network.poolings=1"),
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def small(whole: Recipe, catalogue: Catalogue) -> Recipe:
    """The same with few maps, small patches and windows."""
    flat = whole.ndim == 2
    patch, window = ("[9, 9]", "[32, 48]") if flat else ("[3, 5, 5]", "[8, 24, 24]")
    changes = [f"training.crop={window}", f"tiling.window={window}", "tiling.overlap=4", "network.maps=2",
               "network.growth=2", f"loss.patch={patch}", f"postprocess.patch={patch}",
               *SMALL[whole.network.kind]]  # fmt: skip
    if whole.network.upward_maps is not None:
        changes.append("network.upward_maps=4")
    return whole.changed(changes, catalogue, "ppp")


def test_there_is_a_recipe_for_each_set_up_of_the_paper(catalogue: Catalogue) -> None:
    assert set(catalogue.use("ppp").items["recipes"]) == set(NAMES)
    assert {f"ppp-{name}-paper".replace("ppp-ppp", "ppp") for name in PAPER} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_and_learns(name: str, catalogue: Catalogue) -> None:
    whole = Recipe.load(RECIPES / f"{name}.yaml", catalogue, "ppp")
    assert whole.name == name
    assert Recipe.parse(whole.plain(), catalogue, "ppp") == whole
    whole.postprocess.check({head.name: head for head in whole.heads}, whole.ndim)
    with torch.device("meta"):
        whole.network.build(channels(whole), whole.heads, whole.ndim)

    recipe = small(whole, catalogue)
    torch.manual_seed(0)
    module = recipe.network.build(channels(recipe), recipe.heads, recipe.ndim).train()
    truth = (worms if "numinst" in {h.name for h in recipe.heads} else blobs)(recipe.training.crop, seed=2).truth
    voxels = (truth.layers > 0).any(0) + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    image = torch.from_numpy(np.stack([voxels] * channels(recipe)).astype(np.float32))[None]
    targets = {key: torch.from_numpy(array)[None] for key, array in recipe.loss.targets(truth).items()}
    criterion, optimiser, seen = recipe.loss.build(), torch.optim.Adam(module.parameters(), 1e-2), []
    for _ in range(4):
        torch.manual_seed(1)  # the same pixels in every step, so that losses compare
        optimiser.zero_grad(set_to_none=True)
        cost = torch.stack(list(criterion(module(image), targets).values())).sum()
        cost.backward()
        optimiser.step()
        seen.append(cost.item())
    assert seen[-1] < seen[0]

    module.eval()
    with torch.inference_mode():
        raw = module(image)
        heads = {head.name: activate(raw[head.name], head)[0].numpy() for head in recipe.heads}
    box = Box.whole(truth.shape)
    found = recipe.postprocess.assemble(Prediction(heads, box, box, box.shape, truth.voxel_size), Backend())
    assert found.shape == truth.shape


def test_the_two_steps_of_an_autoencoder_share_network_and_heads(catalogue: Catalogue) -> None:
    first, second = (
        Recipe.load(RECIPES / f"ppp-ae-{name}.yaml", catalogue, "ppp") for name in ("codes-paper", "paper")
    )
    assert (first.network, first.heads) == (second.network, second.heads)


def test_the_ablations_share_the_network_of_the_whole_method(catalogue: Catalogue) -> None:
    whole, *others = (
        Recipe.load(RECIPES / f"ppp-dec-{name}paper.yaml", catalogue, "ppp")
        for name in ("", "components-", "mws-dense-", "no-selection-", "no-thin-")
    )
    for other in others:
        assert (other.network, other.heads, other.training) == (whole.network, whole.heads, whole.training)
        assert other.postprocess != whole.postprocess
