"""What every network keeps to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from toolkit.errors import PluginError
from toolkit.plugins import seams
from toolkit.plugins.specs import Network
from toolkit.testing.gpu import need_gpu
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch


class NetworkTests:
    """Subclass it, set `spec`, and pytest runs these tests on your network."""

    spec: ClassVar[Network]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    """Numbers of spatial axes that the network supports."""
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    tolerance: ClassVar[float] = 1e-4
    """Most that outputs may differ for reasons of rounding."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        """Heads to build it with."""
        return (
            Head("first", 1, "sigmoid"),
            Head("second", ndim, transform="vector", initial=0.25),
            Head("third", 4, "softmax"),
        )

    def test_it_is_its_configuration(self) -> None:
        again = type(self.spec).model_validate(self.spec.model_dump(mode="json"))
        assert again == self.spec, f"{again!r} came back from the fields of {self.spec!r}"

    def test_each_head_has_its_channels_and_the_shape_of_the_input(self) -> None:
        for ndim in self.ndims:
            for channels in self.channels:
                image = self._image(ndim, channels)
                raw = self._outputs(self._module(ndim, channels), image)
                expected = {h.name: (len(image), h.channels, *image.shape[2:]) for h in self.heads(ndim)}
                found = {name: tuple(head.shape) for name, head in raw.items()}
                assert found == expected, f"heads are {found}, asked for {expected}"
                odd = {name: str(head.dtype) for name, head in raw.items() if str(head.dtype) != "torch.float32"}
                assert not odd, f"heads are {odd}: give float32"

    def test_the_smallest_window_passes_through(self) -> None:
        import torch

        for ndim in self.ndims:
            stride = self.spec.stride(ndim)
            assert len(stride) == ndim, f"stride({ndim}) is {stride}"
            for times in (4, 5):  # even and odd: whoever halves once more than the stride says sees no odd one
                self._outputs(self._module(ndim, 1), torch.zeros(1, 1, *(times * s for s in stride)))

    def test_heads_begin_at_their_initial_value(self) -> None:
        for ndim in self.ndims:
            raw = self._outputs(self._module(ndim, 1), self._image(ndim, 1))
            for head in self.heads(ndim):
                if head.initial is not None:
                    off = float((raw[head.name] - head.initial).abs().max())
                    assert off <= self.tolerance, (
                        f"head {head.name} is {off} off its initial value: let its last layer begin with weights of 0 "
                        "and a bias of head.initial"
                    )

    def test_an_image_gets_the_same_heads_in_any_batch(self) -> None:
        for ndim in self.ndims:
            module, image = self._module(ndim, 1), self._image(ndim, 1)
            together, alone = self._outputs(module, image), self._outputs(module, image[1:])
            for name, head in alone.items():
                off = float((together[name][1:] - head).abs().max())
                assert off <= self.tolerance, (
                    f"head {name} differs by {off} between batches of 2 and 1: draw nothing, write into no input, and "
                    "let no image see another"
                )

    def test_outputs_are_raw(self) -> None:
        for ndim in self.ndims:
            modules = [self._module(ndim, 1, seed) for seed in (0, 1, 2)]
            images = self._image(ndim, 1), -9 * self._image(ndim, 1)
            seen = [self._outputs(module, image) for module in modules for image in images]
            for head in self.heads(ndim):
                if head.activation == "none" or head.initial is not None:
                    continue
                least, most = (float(f(raw[head.name] for raw in seen)) for f in (_least, _most))
                one = all(float((raw[head.name].sum(1) - 1).abs().max()) < 1e-3 for raw in seen)
                low = -1 if head.activation == "tanh" else 0
                assert not one or head.activation != "softmax", f"head {head.name} sums to 1: {RAW}"
                assert least < low or most > 1, f"head {head.name} stays in [{low}, 1]: {RAW}"
                assert least != 0, f"head {head.name} is cut off at 0: {RAW}"

    def test_the_input_is_untouched(self) -> None:
        for ndim in self.ndims:
            image = self._image(ndim, 1)
            before = image.clone()
            self._outputs(self._module(ndim, 1), image)
            assert bool((image == before).all()), "the network writes into its input: work on a copy"

    def test_weights_carry_everything(self) -> None:
        for ndim in self.ndims:
            one, other = self._module(ndim, 1, seed=0), self._module(ndim, 1, seed=1)
            other.load_state_dict(one.state_dict())
            image = self._image(ndim, 1)
            expected, found = self._outputs(one, image), self._outputs(other, image)
            for name, head in expected.items():
                assert bool((found[name] == head).all()), (
                    f"head {name} depends on more than the weights: draw nothing, and keep modules in ModuleList and "
                    "ModuleDict, not in lists and dictionaries"
                )

    def test_every_parameter_learns(self) -> None:
        import torch

        for ndim in self.ndims:
            module = self._module(ndim, 1).train()
            raw = module(image := self._image(ndim, 1))
            seams.raw(raw, self.heads(ndim), tuple(image.shape[2:]), self.spec)
            sum(((head - 1) ** 2).mean() for head in raw.values()).backward()
            idle = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
            assert not idle, f"no gradient reaches {', '.join(idle)}"
            assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None), "not finite"

    def test_what_other_methods_share_is_the_same_for_other_heads(self) -> None:
        for ndim in self.ndims:
            others = (Head("other", 3), *self.heads(ndim)[1:])
            one, other = (
                {n: tuple(t.shape) for n, t in self.spec.build(1, heads, ndim).state_dict().items()}
                for heads in (self.heads(ndim), others)
            )
            for tensor in one.keys() | other.keys():
                if tensor.startswith(self.spec.shares()[1]):
                    here, there = one.get(tensor), other.get(tensor)
                    assert here == there, f"{tensor} is {here}, with other heads {there}; shares must leave it out"

    def test_gpu_agrees_with_cpu(self) -> None:
        device = need_gpu().device
        for ndim in self.ndims:
            module, image = self._module(ndim, 1), self._image(ndim, 1)
            here = self._outputs(module, image)
            there = self._outputs(module.to(device), image.to(device))
            for name, head in here.items():
                off = float((there[name].cpu() - head).abs().max())
                assert off <= 100 * self.tolerance, f"head {name} differs by {off} between CPU and GPU"

    def _module(self, ndim: int, channels: int, seed: int = 0) -> torch.nn.Module:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.spec.build(channels, self.heads(ndim), ndim).eval()

    def _outputs(self, module: torch.nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """What a network says of images."""
        import torch

        ndim = image.ndim - 2
        try:
            with torch.inference_mode(), seams.calling(self.spec, "build"):
                raw: dict[str, torch.Tensor] = module(image)
            seams.raw(raw, self.heads(ndim), tuple(image.shape[2:]), self.spec)
        except PluginError as error:
            only = "; if it is for images alone, let stride raise ValueError for 3 axes" if ndim == 3 else ""
            raise AssertionError(f"windows {tuple(image.shape)}: {error}{only}") from error
        return raw

    def _image(self, ndim: int, channels: int) -> torch.Tensor:
        """Two images of at least 32 (3-D: 16) voxels per axis."""
        import torch

        least = 32 if ndim == 2 else 16
        shape = [s * -(-least // s) for s in self.spec.stride(ndim)]
        noise = np.random.default_rng(0).standard_normal((2, channels, *shape))
        return torch.from_numpy(noise.astype(np.float32))


RAW = "give raw outputs, whoever needs them activated does that"


def _least(tensors: Iterable[torch.Tensor]) -> float:
    return min(float(t.min()) for t in tensors)


def _most(tensors: Iterable[torch.Tensor]) -> float:
    return max(float(t.max()) for t in tensors)
