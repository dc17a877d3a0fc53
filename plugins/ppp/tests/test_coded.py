"""Codes of patches, the autoencoder that they belong to, and windows."""

from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from toolkit_ppp.coded import CodedModule, Coder
from toolkit_ppp.lazy import NEVER, asked, rows
from toolkit_ppp.loss import AutoencoderLoss, CodeLoss, PatchLoss
from toolkit_ppp.network import Backbone, PatchCoder, PatchUNet, PatchWindow
from toolkit_ppp.window import EncoderDecoder, Windowed

from toolkit.api import Backend, Box, UsageError
from toolkit.testing import Catalogue, Predictor, Recipe, blobs, fit_scale
from toolkit.testing import load_model as load
from toolkit.testing import save_weights as save

CODER = PatchCoder(maps=4, levels=2, code=24, coder_levels=1, coder_maps=2, autoencoder=True)
WINDOW = PatchWindow(maps=4, levels=2, window_maps=2, poolings=1, norm="batch")
PATCH = (3, 5, 7)


def built(spec: Backbone, ndim: int, foreground: str = "foreground") -> tuple[torch.nn.Module, torch.Tensor]:
    """A network of chance and two images."""
    torch.manual_seed(0)
    heads = PatchLoss(patch=PATCH[-ndim:], foreground=foreground).heads(ndim)
    module = spec.build(1, heads, ndim)
    image = torch.randn(2, 1, *((20, 24) if ndim == 2 else (6, 8, 10)))
    layer = module.heads[foreground]
    with torch.no_grad():
        # So that half of the pixels are foreground with a probability of more than .1.
        layer.weight.mul_(20)
        raw = module.eval()(image)[foreground]
        sure = raw[:, 0] if foreground == "foreground" else raw[:, 1:].logsumexp(1) - raw[:, 0]
        layer.bias[0] -= (1 if foreground == "foreground" else -1) * (sure.median() + 2.2)
    return module, image


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("foreground", ["foreground", "numinst"])
@pytest.mark.parametrize("spec", [CODER, WINDOW.model_copy(update={"norm": "none"})], ids=["coder", "window"])
def test_patches_of_foreground_are_those_that_the_loss_saw_and_others_are_empty(
    spec: Backbone, ndim: int, foreground: str
) -> None:
    module, image = built(spec, ndim, foreground)
    lazy = module.train()(image)["patches"]
    with torch.inference_mode():
        found = module.eval()(image)
        wanted = asked({foreground: found[foreground]}, image, 0.1)
        pixels = torch.nonzero(wanted.flatten())[:, 0]
        assert 0 < len(pixels) < wanted.numel()
        assert found["patches"].shape == (2, prod(PATCH[-ndim:]), *image.shape[2:])
        assert torch.allclose(rows(lazy, pixels), rows(found["patches"], pixels), atol=1e-5)
    assert (found["patches"].movedim(1, -1)[~wanted] == NEVER).all()
    assert torch.sigmoid(torch.tensor(NEVER)) < 1e-6


@pytest.mark.parametrize("spec", [CODER, WINDOW], ids=["coder", "window"])
def test_only_foreground_is_decoded_and_piece_by_piece(spec: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    module, image = built(spec, 2)
    kind = Coder if isinstance(module, CodedModule) else EncoderDecoder
    (decoder,) = (m for m in module.modules() if isinstance(m, kind))
    seen = []
    decoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    with torch.inference_mode():
        once = module.eval()(image)
        assert sum(seen) == int((torch.sigmoid(once["foreground"]) > 0.1).sum())
        seen.clear()
        monkeypatch.setattr(decoder, "chunk", 7)
        again = module(image)
    assert max(seen) == 7
    assert torch.allclose(once["patches"], again["patches"], atol=1e-5)


def test_pixels_of_surely_several_objects_are_not_decoded() -> None:
    logits = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    raw = {"numinst": logits.T[None, :, None]}
    assert asked(raw, torch.zeros(1, 1, 1, 4), 0.1)[0, 0].tolist() == [True, False, False, True]
    assert asked({}, torch.zeros(1, 1, 1, 4), 0.1).all()


def test_windows_are_what_lies_around_a_pixel_and_zero_beyond_the_border() -> None:
    image = torch.rand(2, 3, 5, 6)
    windows = Windowed(image, lambda w: w.flatten(1), window=7).at(torch.tensor([0, 17, 30 + 29]))
    padded = np.pad(image.numpy(), [(0, 0), (0, 0), (3, 3), (3, 3)])
    for row, (b, y, x) in zip(windows, [(0, 0, 0), (0, 2, 5), (1, 4, 5)], strict=True):
        assert np.array_equal(row.numpy(), padded[b, :, y : y + 7, x : x + 7].ravel())


def test_a_code_that_does_not_fit_the_patch_and_a_window_that_does_not_hold_it_are_refused() -> None:
    heads = PatchLoss(patch=(25, 25)).heads(2)
    with pytest.raises(ValueError, match=r"multiple of its 4×4 places: code=252; choose 256"):
        PatchCoder().build(1, heads, 2)
    with pytest.raises(ValueError, match="a window of 9 pixels does not hold a patch of 25×25"):
        PatchWindow(poolings=1).build(1, heads, 2)


def learnt(module: torch.nn.Module, part: str) -> bool:
    """Whether gradients reached all of the parameters that have `part` in their name; none or all of them."""
    found = {p.grad is not None for n, p in module.named_parameters() if part in n}
    assert len(found) == 1
    return found.pop()


@pytest.mark.slow
def test_the_autoencoder_learns_first_and_then_the_network_its_codes() -> None:
    truth = blobs((24, 24), seed=1).truth
    first, second = (kind(patch=PATCH[1:], foreground="foreground") for kind in (AutoencoderLoss, CodeLoss))
    assert first.heads(2) == second.heads(2)
    assert first.prepares
    assert not second.prepares
    torch.manual_seed(0)
    coder = CODER.model_copy(update={"coder_maps": 4})
    module = coder.build(1, first.heads(2), 2).train()
    image = torch.from_numpy((truth.layers[:1] > 0).astype(np.float32))[None]
    targets = {name: torch.from_numpy(array)[None] for name, array in first.targets(truth).items()}
    costs = []
    for loss, steps in ((first, 60), (second, 60)):
        optimiser, criterion, own = torch.optim.Adam(module.parameters(), 1e-2), loss.build(), []
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            terms = criterion(module(image), targets)
            torch.stack(list(terms.values())).sum().backward()
            optimiser.step()
            own.append(next(iter(terms.values())).item())
        costs.append(own)
        for part in ("encoder", "decoder"):
            assert learnt(module, part) == (loss is first)
        for part in ("features", "heads", ".code."):
            assert learnt(module, part) == (loss is second)
    for own in costs:
        assert np.mean(own[-5:]) < 0.7 * own[0], own


def test_a_network_without_an_autoencoder_cannot_learn_one() -> None:
    loss = AutoencoderLoss(patch=(3, 5))
    image = torch.zeros(1, 1, 8, 8)
    targets = {"layers": torch.ones(1, 1, 8, 8, dtype=torch.int32), "void": torch.zeros(1, 1, 8, 8, dtype=torch.bool)}
    plain = PatchUNet(maps=2, levels=2).build(1, loss.heads(2), 2).train()
    without = CODER.model_copy(update={"autoencoder": False, "code": 12}).build(1, loss.heads(2), 2).train()
    for module in (plain, without):
        with pytest.raises(UsageError, match="autoencoder"):
            loss.build()(module(image), targets)


def test_patches_that_the_crop_cuts_have_no_code() -> None:
    loss = CodeLoss(patch=(3, 5), pixels=None)
    module = CODER.model_copy(update={"code": 12}).build(1, loss.heads(2), 2).train()
    layers = torch.ones(1, 1, 2, 4, dtype=torch.int32)
    targets = {"layers": layers, "void": torch.zeros(1, 1, 2, 4, dtype=torch.bool)}
    assert loss.build()(module(torch.zeros(1, 1, 2, 4)), targets)["codes"].item() == 0


def test_memory_that_runs_out_while_patches_are_decoded_changes_nothing(tmp_path: Path) -> None:
    catalogue = Catalogue()
    recipe = Recipe.parse(
        {
            "name": "small",
            "network": CODER.model_dump(),
            "loss": {"kind": "ppp", "patch": [5, 7], "foreground": "foreground"},
            "postprocess": {"kind": "ppp", "patch": [5, 7]},
            "tiling": {"window": [16, 16], "overlap": 4},
            "training": {"crop": [16, 16]},
        },
        catalogue,
        "ppp",
    )
    torch.manual_seed(0)
    module = recipe.network.build(1, recipe.heads, 2)
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    save(module, tmp_path / "best.safetensors")
    package = load(str(tmp_path), catalogue, "ppp")
    image = blobs((40, 44), seed=1).image
    scale, box = fit_scale(image, recipe.normalise), Box.whole(image.shape)
    whole = Predictor(package, Backend())(image, scale, box)

    starved, failures = Predictor(package, Backend()), []
    network = next(m for m in starved.engine._module.modules() if isinstance(m, CodedModule))

    def starve(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2:
            failures.append(len(inputs[0]))
            raise torch.cuda.OutOfMemoryError

    network.features.register_forward_pre_hook(starve)
    starved._batch = 16
    again = starved(image, scale, box)
    assert failures[:3] == [12, 6, 3]
    for name, head in whole.heads.items():
        assert np.allclose(head, again.heads[name], atol=1e-5)
