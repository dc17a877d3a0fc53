"""What every loss keeps to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from toolkit.plugins import seams
from toolkit.plugins.specs import Loss
from toolkit.testing.descent import descend, start
from toolkit.testing.descent import targets as wanted
from toolkit.testing.gpu import need_gpu
from toolkit.testing.scenes import blobs, empty, examples, sealed, worms
from toolkit.testing.seeded import same_for_any_seed
from toolkit.values.prediction import Head
from toolkit.values.truth import UNANNOTATED, Truth

if TYPE_CHECKING:
    import torch


class LossTests:
    """Subclass it, set `spec`, and pytest runs these tests on your loss."""

    spec: ClassVar[Loss]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    """Numbers of spatial axes that the loss supports."""
    steps: ClassVar[int] = 60
    """Steps of descent within which the loss must fall."""

    def test_it_is_its_configuration(self) -> None:
        again = type(self.spec).model_validate(self.spec.model_dump(mode="json"))
        assert again == self.spec, f"{again!r} came back from the fields of {self.spec!r}"

    def test_heads_have_names_of_their_own_and_channels(self) -> None:
        for ndim in self.ndims:
            heads = self._heads(ndim)
            names = [head.name for head in heads]
            assert names, "a loss reads at least one head"
            assert len(set(names)) == len(names), f"two heads have one name: {names}"
            assert all(head.channels > 0 for head in heads), "a head has no channels"
            vectors = [head for head in heads if head.transform in ("vector", "extent")]
            assert all(head.channels == ndim for head in vectors), "a vector has one channel per axis"

    def test_targets_are_finite_arrays(self) -> None:
        for truth in self._truths():
            for name, target in seams.targets(self.spec.targets(truth), self.spec, truth.shape).items():
                assert target.ndim >= 1, f"target {name} has no axis to batch along"

    def test_targets_are_the_same_when_asked_twice(self) -> None:
        for truth in self._truths():
            one, two = self.spec.targets(truth), self.spec.targets(truth)
            for name, target in one.items():
                assert name in two, f"target {name} is gone when asked again"
                assert np.array_equal(target, two[name]), f"target {name} is another when asked again: draw nothing"

    def test_no_hash_decides(self) -> None:
        for truth in self._truths(hard=False)[:1]:
            same_for_any_seed(self.spec, {"truth": truth.layers})

    def test_heads_and_targets_are_untouched(self) -> None:
        for truth in self._truths(hard=False):
            raw = {name: head.detach() for name, head in start([self.spec], truth).items()}
            targets = wanted(self.spec, truth)
            before = {name: tensor.clone() for name, tensor in (raw | targets).items()}
            self.spec.build()(raw, targets)
            for name, tensor in (raw | targets).items():
                assert bool((tensor == before[name]).all()), f"the loss writes into {name}: work on a copy"

    def test_terms_are_finite_for_sure_heads(self) -> None:
        import torch

        for truth in self._truths():
            named = {head.name for head in self._heads(truth.ndim) if head.activation in ("sigmoid", "softmax")}
            for sure in (-40.0, 40.0):
                begun = start([self.spec], truth).items()
                raw = {n: torch.full_like(h, sure).requires_grad_() if n in named else h for n, h in begun}
                for name, term in self._sum(raw, truth, torch.device("cpu"))[1].items():
                    assert np.isfinite(float(term.detach())), f"term {name} is not finite where outputs are {sure}"

    def test_every_head_learns(self) -> None:
        idle = {head.name for ndim in self.ndims for head in self._heads(ndim)}
        for truth in self._truths(hard=False):
            idle -= {name for name, gradient in self._gradients(truth).items() if gradient.any()}
        assert not idle, f"no gradient reaches {', '.join(sorted(idle))}: leave it out of heads()"

    def test_the_truth_is_untouched(self) -> None:
        for truth in self._truths():
            before = truth.layers.copy(), truth.centres.copy()
            self._value(truth)
            assert np.array_equal(truth.layers, before[0]), "the loss wrote into the labels"
            assert np.array_equal(truth.centres, before[1]), "the loss wrote into the centres"

    def test_terms_are_finite_numbers(self) -> None:
        for truth in self._truths():
            for name, term in self._value(truth)[1].items():
                assert term.ndim == 0, f"term {name} has shape {tuple(term.shape)}, not that of a number"
                assert np.isfinite(float(term.detach())), f"term {name} is not finite"

    def test_nothing_known_is_no_reason_to_move(self) -> None:
        for scene in examples(self.ndims):
            void = replace(scene.truth, void=np.ones(scene.shape, bool))
            unannotated = Truth.from_layers(np.full((1, *scene.shape), UNANNOTATED))
            for truth in (void, unannotated):
                for name, gradient in self._gradients(truth).items():
                    assert not gradient.any(), f"head {name} is pulled where nothing is known"

    def test_void_voxels_pull_no_head(self) -> None:
        for scene in examples(self.ndims):
            void = np.zeros(scene.shape, bool)
            void[..., : scene.shape[-1] // 2] = True
            for name, gradient in self._gradients(replace(scene.truth, void=void)).items():
                assert not gradient[..., void].any(), f"head {name} is pulled at void voxels"

    def test_ids_mean_nothing(self) -> None:
        for scene in examples(self.ndims):
            layers = scene.truth.layers
            other = Truth.from_layers(np.where(layers > 0, layers.max() + 7 - 2 * layers, layers))
            one, two = (float(self._value(truth)[0].detach()) for truth in (scene.truth, other))
            assert abs(one - two) <= 1e-4 * max(1, abs(one)), f"the loss is {one}, and {two} with other ids"

    def test_descent_lowers_it(self) -> None:
        for truth in self._truths(hard=False):
            heads, seen = descend([self.spec], truth, steps=self.steps)
            for name, target in self.spec.targets(truth).items():
                along = _along(heads[name], target) if name in heads else 1.0
                assert along > -1e-6, f"what lowers it leads head {name} away from its target: is a sign wrong?"
            least = min(seen[1:])
            assert least < seen[0], f"{self.steps} steps on free outputs led from {seen[0]} to no less than {least}"

    def test_gpu_agrees_with_cpu(self) -> None:
        device = need_gpu().device
        for truth in self._truths():
            here, there = (float(self._value(truth, d)[0].detach()) for d in ("cpu", device))
            assert abs(here - there) <= 1e-3 * max(1, abs(here)), f"{here} on the CPU and {there} on the GPU"

    def _heads(self, ndim: int) -> Sequence[Head]:
        return seams.heads(self.spec.heads(ndim), self.spec)

    def _truths(self, hard: bool = True) -> list[Truth]:
        """Blobs, worms, and if `hard` nothing, all of it unannotated or void, and a part that is."""
        found = [scene.truth for draw in (blobs, worms) for scene in examples(self.ndims, draw)]
        if hard:
            found += [scene.truth for scene in examples(self.ndims, empty)]
            for scene in examples(self.ndims):
                void = np.zeros(scene.shape, bool)
                void[..., ::3] = True
                layers = np.where(scene.truth.layers == 1, UNANNOTATED, scene.truth.layers)
                found.append(Truth.from_layers(layers, void))
        return [sealed(truth) for truth in found]

    def _value(self, truth: Truth, device: str = "cpu") -> tuple[torch.Tensor, dict[str, Any]]:
        """The sum of the terms at the heads of an untrained network, and the terms."""
        import torch

        raw = {name: head.detach().to(device) for name, head in start([self.spec], truth).items()}
        return self._sum(raw, truth, torch.device(device))

    def _gradients(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """The gradient of the loss at each voxel of each head, away from the untrained network's outputs."""
        import torch

        noise = torch.Generator().manual_seed(0)
        raw = {
            name: (head.detach() + 0.1 * torch.randn(head.shape, generator=noise)).requires_grad_()
            for name, head in start([self.spec], truth).items()
        }
        total, _ = self._sum(raw, truth, torch.device("cpu"))
        if total.requires_grad:
            torch.autograd.backward(total)
        return {n: (np.zeros(r.shape) if r.grad is None else r.grad.numpy())[0] for n, r in raw.items()}

    def _sum(
        self, raw: dict[str, torch.Tensor], truth: Truth, device: torch.device
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        import torch

        targets = {name: target.to(device) for name, target in wanted(self.spec, truth).items()}
        terms = dict(seams.terms(self.spec.build().to(device)(raw, targets), self.spec))
        return sum(terms.values(), torch.zeros((), device=device)), terms


def _along(head: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    """Whether a head is greater where its target is: their covariance, 0 where they are of different shapes."""
    if head.shape != target.shape:
        return 0.0
    return float(((head - head.mean()) * (target - target.mean(dtype=np.float64))).mean())
