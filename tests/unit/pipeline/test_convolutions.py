"""Quick convolutions of volumes are convolutions."""

import copy

import pytest
import torch

from toolkit.pipeline.convolutions import FEW, FUSED, WORTH, QuickVolumes, quicken

KERNELS = [(3, 3, 3), (3, 1, 1), (1, 3, 3), (2, 2, 2)]


def _results(layer, maps, mode):
    layer.zero_grad()
    entered = maps.detach().clone().requires_grad_()
    if mode is None:
        found = layer(entered)
    else:
        with mode:
            found = layer(entered)
    (found**2).sum().backward()
    return found.detach(), entered.grad, layer.weight.grad.clone(), layer.bias.grad.clone()


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"dilation": 2}, {"groups": 2}], ids=str)
def test_values_and_gradients_are_those_of_a_plain_convolution(kernel, settings):
    torch.manual_seed(0)
    layer = torch.nn.Conv3d(4, 6, kernel, padding=1, **settings).double()
    maps = torch.randn(1, 4, 12, 40, 18, dtype=torch.float64)
    assert maps.numel() * kernel[0] * kernel[1] * kernel[2] > WORTH
    exact = _results(layer, maps, None)
    found = _results(layer.float(), maps.float(), QuickVolumes())
    for one, other in zip(found, exact, strict=True):
        assert torch.allclose(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def _ran(layer, maps, mode):
    """Names of the operations that ran."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen, torch.inference_mode(), mode:
        layer(maps)
    return {row.key for row in seen.key_averages()}


def test_what_torch_unfolds_goes_to_onednn():
    layer, maps = torch.nn.Conv3d(4, 4, 3, padding=1), torch.randn(1, 4, 12, 12, 12)
    assert maps.shape[1:4].numel() <= FEW
    assert "aten::slow_conv3d_forward" not in _ran(layer, maps, QuickVolumes())


@pytest.mark.parametrize("kind", ["1 × 1 × 1", "two volumes", "16 bits", "little"])
def test_what_is_quick_anyway_stays_as_it_is(kind):
    layer = torch.nn.Conv3d(4, 4, 1 if kind == "1 × 1 × 1" else 3)
    side = 4 if kind == "little" else 12
    maps = torch.randn(2 if kind == "two volumes" else 1, 4, side, side, side)
    if kind == "16 bits":
        layer, maps = layer.bfloat16(), maps.bfloat16()
    assert "aten::to_mkldnn" not in _ran(layer, maps, QuickVolumes())


def test_a_network_that_computes_in_16_bits_where_it_may_stays_as_it_is():
    layer, maps = torch.nn.Conv3d(4, 4, 3), torch.randn(1, 4, 12, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        assert "aten::to_mkldnn" not in _ran(layer, maps, QuickVolumes())


class Row(torch.nn.Module):
    """Convolutions of all kinds, some with a ReLU behind them; the last one's result is read twice."""

    def __init__(self, ndim):
        super().__init__()
        kind = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        self.row = torch.nn.Sequential(
            kind(2, 8, 3, padding=1), torch.nn.ReLU(), kind(8, 8, 3, padding="same"), torch.nn.ReLU(),
            kind(8, 8, 3, stride=2, padding=1, padding_mode="reflect"), torch.nn.ReLU(),
            kind(8, 8, 1, groups=2), torch.nn.Sigmoid(), kind(8, 4, 3, dilation=2, bias=False), torch.nn.ReLU(),
        )  # fmt: skip
        self.last = kind(4, 3, 1)

    def forward(self, maps):
        found = self.last(self.row(maps))
        return torch.relu(found) + found

    def lean(self):
        pass


class Tapping(torch.nn.Module):
    """Reads what lies between a convolution and its ReLU, and knows nothing of being changed."""

    def __init__(self):
        super().__init__()
        self.row = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())

    def forward(self, maps):
        return self.row[0](maps)


@pytest.mark.parametrize("maps", [(1, 8, 8), (2, 1, 8, 8)], ids=["no batch", "a batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_lies_between_a_convolution_and_its_relu_may_be_read(maps, dtype):
    module = Tapping().to(dtype)
    quick, voxels = copy.deepcopy(module), torch.randn(maps, dtype=dtype)
    quicken(quick)
    with torch.inference_mode():
        assert torch.allclose(quick(voxels), module(voxels), atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_quick_convolutions_with_their_relus_give_the_same(ndim, dtype):
    torch.manual_seed(ndim)
    module = Row(ndim).to(dtype)
    quick = copy.deepcopy(module)
    quicken(quick)
    maps = torch.randn(2, 2, *(20,) * ndim, dtype=dtype)
    assert any(isinstance(part, torch.nn.Identity) for part in quick.row), "a ReLU that is one with its convolution"
    with torch.inference_mode():
        wanted, found = module(maps).float(), quick(maps).float()
    assert torch.allclose(found, wanted, atol=0.02 if dtype == torch.bfloat16 else 1e-5)
    assert {name: value.shape for name, value in quick.state_dict().items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }
    assert torch.allclose(quick(maps).float(), wanted, atol=0.02), "also where gradients are wanted"


def test_this_torch_has_what_quick_convolutions_are_made_of():
    assert FUSED is not None
