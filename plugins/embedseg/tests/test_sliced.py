"""A 2-D network on the planes of a volume."""

import numpy as np
import pytest
import torch
from toolkit_embedseg.loss import EmbedSegLoss
from toolkit_embedseg.network import BranchedErfNet, Sliced

from toolkit.api import Head, PlainUNet, UsageError
from toolkit.testing import Catalogue, Recipe, blobs, load_model, segment

LOSS = EmbedSegLoss(grid=64)
OTHER = "network.of={kind: erfnet, width: 0.5, dropout: 0.1}"


SPECS = {"erfnet": BranchedErfNet(width=0.25), "plain_unet": PlainUNet(maps=4, levels=4)}


@pytest.fixture(scope="module", params=SPECS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def flat(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    module = SPECS[kind].build(1, LOSS.heads(2), 2)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return module.eval()


def sliced(kind: str, flat: torch.nn.Module, anisotropy: tuple[float, ...]) -> torch.nn.Module:
    module = Sliced(of=SPECS[kind], anisotropy=anisotropy).build(1, LOSS.heads(3), 3)
    module.load_state_dict(flat.state_dict(), strict=True)
    return module.eval()


def planes(flat: torch.nn.Module, volume: np.ndarray, normal: int) -> dict[str, np.ndarray]:
    """Heads of each plane by itself, `(channels, Z, Y, X)`."""
    with torch.inference_mode():
        parts = [flat(torch.from_numpy(p[None, None].copy())) for p in np.moveaxis(volume, normal, 0)]
    return {name: np.stack([p[name][0].numpy() for p in parts], 1 + normal) for name in parts[0]}


def test_a_sliced_network_is_the_mean_of_the_planes_that_see_an_axis(kind: str, flat: torch.nn.Module) -> None:
    volume = np.random.default_rng(0).random((8, 16, 24)).astype(np.float32)
    z, y, x = (planes(flat, volume, normal) for normal in range(3))
    with torch.inference_mode():
        found = {
            name: maps[0].numpy() for name, maps in sliced(kind, flat, ())(torch.from_numpy(volume[None, None])).items()
        }
    for name in ("offsets", "bandwidth"):
        expected = [(y[name][0] + x[name][0]) / 2, (z[name][0] + x[name][1]) / 2, (z[name][1] + y[name][1]) / 2]
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    expected = (z["seediness"] + y["seediness"] + x["seediness"]) / 3
    np.testing.assert_allclose(found["seediness"], expected, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 5, 12])
def test_thick_slices_are_resampled_for_the_network_and_back(kind: str, flat: torch.nn.Module, depth: int) -> None:
    column = np.random.default_rng(0).random((1, 16, 24)).astype(np.float32)
    volume = np.repeat(column, depth, 0)  # along z nothing changes, so resampling does not either
    with torch.inference_mode():
        found = sliced(kind, flat, (2.5, 1.0, 1.0))(torch.from_numpy(volume[None, None]))
        in_plane = flat(torch.from_numpy(column[:, None]))
    assert {name: tuple(maps.shape) for name, maps in found.items()} == {
        "offsets": (1, 3, depth, 16, 24),
        "bandwidth": (1, 3, depth, 16, 24),
        "seediness": (1, 1, depth, 16, 24),
    }
    assert all(torch.isfinite(maps).all() for maps in found.values())
    assert in_plane["offsets"].shape == (1, 2, 16, 24)


def recipe(catalogue: Catalogue, *changes: str) -> Recipe:
    plugin, path = catalogue.locate("recipes", "embedseg-3d-sliced", "embedseg")
    return Recipe.load(path, catalogue, plugin, changes)


@pytest.mark.slow
def test_the_shipped_2d_model_segments_volumes_in_any_blocks() -> None:
    catalogue = Catalogue()
    small = ("tiling.window=[16,48,48]", "tiling.overlap=[4,16,16]", "network.anisotropy=[]", "loss.anisotropy=[]",
             "postprocess.anisotropy=[]", "postprocess.seed=0.6")  # fmt: skip
    model = load_model("embedseg", catalogue, "embedseg").with_recipe(recipe(catalogue, *small))
    image = blobs((20, 50, 50), radius=(8, 9), seed=3).image
    one, many = segment(image, model, device="cpu"), segment(image, model, device="cpu", block=16)
    assert len(one) > 0
    assert one == many


@pytest.mark.parametrize(
    "change", [["network.of={kind: erfnet, width: 0.5, dropout: 0.1}"], ["loss.grid=129", "postprocess.grid=129"]]
)
def test_a_network_or_an_embedding_that_is_another_is_refused(change: list[str]) -> None:
    catalogue = Catalogue()
    with pytest.raises(UsageError, match="network and heads are fixed by the model"):
        load_model("embedseg", catalogue, "embedseg").with_recipe(recipe(catalogue, *change))


@pytest.mark.parametrize(
    ("ndim", "anisotropy", "heads"),
    [(2, (), ()), (3, (2.0, 1.0), ()), (3, (), (Head("patches", 9, transform="patch", patch=(1, 3, 3)),))],
)
def test_what_cannot_be_sliced_is_refused_with_a_sentence(
    ndim: int, anisotropy: tuple[float, ...], heads: tuple[Head, ...]
) -> None:
    with pytest.raises(ValueError, match="a sliced network works on volumes"):
        Sliced(anisotropy=anisotropy).build(1, (*LOSS.heads(ndim), *heads), ndim)


def test_an_embedding_of_another_scale_is_refused_in_2d_too() -> None:
    catalogue = Catalogue()
    model = load_model("embedseg", catalogue, "embedseg")
    other = model.recipe.changed(["loss.grid=129", "postprocess.grid=129"], catalogue, "embedseg")
    with pytest.raises(UsageError, match="network and heads are fixed by the model"):
        model.with_recipe(other)
