"""The last layer of a network of patches is evaluated where there is foreground, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toolkit_ppp.lazy import Lazy
from toolkit_ppp.network import PatchUNet
from toolkit_ppp.unet import ROWS

from toolkit.api import Backend
from toolkit.testing import Catalogue, Predictor, Recipe, blobs, fit_scale
from toolkit.testing import load_model as load
from toolkit.testing import save_weights as save


@pytest.mark.parametrize("loose", [False, True])
def test_patches_are_evaluated_once_where_the_core_of_a_window_has_foreground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loose: bool
) -> None:
    catalogue = Catalogue()
    recipe = Recipe.parse(
        {
            "name": "small",
            "network": PatchUNet(maps=4, levels=2, upward_maps=6).model_dump(),
            "loss": {"kind": "ppp", "patch": [5, 7], "foreground": "foreground"},
            "postprocess": {"kind": "ppp", "patch": [5, 7], "foreground": 0.6},
            "tiling": {"window": [64, 64], "overlap": 16},
            "training": {"crop": [32, 32]},
        },
        catalogue,
        "ppp",
    )
    torch.manual_seed(0)
    module = recipe.network.build(1, recipe.heads, 2)
    with torch.no_grad():
        module.heads["foreground"].weight.mul_(30)
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    save(module, tmp_path / "best.safetensors")
    predictor = Predictor(load(str(tmp_path), catalogue, "ppp"), Backend())
    asked: list[int] = []
    evaluate = Lazy.at
    monkeypatch.setattr(Lazy, "at", lambda self, pixels: (asked.append(len(pixels)), evaluate(self, pixels))[1])
    image = blobs((100, 90), seed=1).image
    lattice = predictor.lattice(image.shape)
    counts = []
    for seen in predictor.windows(image, fit_scale(image, recipe.normalise), list(lattice.windows())):
        least = recipe.postprocess.widest("foreground") if loose else recipe.postprocess.foreground
        inside = int(np.count_nonzero(seen.crop(seen.core)["foreground"] > least))
        counts.append(inside)
        asked.clear()
        kept = recipe.postprocess.keep(seen, Backend(), loose)
        assert len(kept) == inside
        assert asked == [ROWS] * -(-inside // ROWS) or (inside == 0 and sum(asked) <= 1)
    assert len(counts) == 4
    assert max(counts) > ROWS or not loose
    assert sum(counts) < 100 * 90
