"""What every metric keeps to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import ClassVar

import numpy as np

from toolkit.plugins.metric import Metric
from toolkit.testing.scenes import Scene, blobs, empty, examples, worms
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


class MetricTests:
    """Subclass it, set `spec` and `perfect`, and pytest runs these tests on your metric."""

    spec: ClassVar[Metric]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    perfect: ClassVar[dict[str, float] | None] = None
    """Values of a prediction that equals the truth, by key; None tests none."""
    overlaps: ClassVar[bool] = True
    """Whether objects may overlap."""

    def test_it_is_its_configuration(self) -> None:
        again = type(self.spec).model_validate(self.spec.model_dump(mode="json"))
        assert again == self.spec, f"{again!r} came back from the fields of {self.spec!r}"

    def test_the_truth_itself_is_perfect(self) -> None:
        for scene in self._scenes():
            found = self._value(scene.truth, scene.instances)
            for key, value in (self.perfect or {}).items():
                assert abs(found[key] - value) < 1e-9, f"{key} of the truth itself is {found[key]}, not {value}"

    def test_counts_can_be_stored(self) -> None:
        for scene in self._scenes():
            counts = self.spec.count(scene.truth, _shifted(scene))
            again = json.loads(json.dumps(counts, allow_nan=True))
            one, two = (self.spec.summarise([c]) for c in (counts, again))
            assert _same(one, two), f"counts that were stored give {two} instead of {one}"

    def test_ids_mean_nothing(self) -> None:
        for scene in self._scenes():
            layers = scene.truth.layers
            other = Truth.from_layers(np.where(layers > 0, layers.max() + 7 - 2 * layers, layers))
            one, two = (self._value(truth, _shifted(scene)) for truth in (scene.truth, other))
            assert _same(one, two), f"{one}, and with other ids {two}"

    def test_a_flat_volume_is_an_image(self) -> None:
        if not {2, 3} <= set(self.ndims):
            return
        for scene in examples((2,)):
            found = _shifted(scene)
            flat = Truth.from_layers(scene.truth.layers[:, None])
            volume = Instances.from_layers(found.layers()[:, None])
            one, two = self._value(scene.truth, found), self._value(flat, volume)
            assert _same(one, two), f"{one} in 2-D and {two} with one slice"

    def test_nothing_in_both_is_no_accident(self) -> None:
        for scene in examples(self.ndims, empty):
            found = self._value(scene.truth, Instances.empty(scene.shape))
            assert not any(np.isinf(value) for value in found.values()), f"not finite: {found}"

    def test_missing_everything_can_be_counted(self) -> None:
        for scene in self._scenes():
            self._value(scene.truth, Instances.empty(scene.shape))
            self._value(Truth.from_instances(Instances.empty(scene.shape)), scene.instances)

    def test_many_images_have_the_keys_of_one(self) -> None:
        counts = [self.spec.count(scene.truth, _shifted(scene)) for scene in self._scenes()]
        one, many = self.spec.summarise(counts[:1]), self.spec.summarise(counts * 2)
        assert set(one) == set(many), f"{sorted(one)} for one image, {sorted(many)} for several"
        assert all(isinstance(value, float | int) for value in many.values()), f"not all are numbers: {many}"

    def test_the_order_of_images_means_nothing(self) -> None:
        counts = [self.spec.count(scene.truth, _shifted(scene)) for scene in self._scenes()]
        one, other = self.spec.summarise(counts), self.spec.summarise(counts[::-1])
        assert _same(one, other), f"{one}, and in reverse order {other}"

    def _scenes(self) -> Iterator[Scene]:
        yield from examples(self.ndims, blobs)
        if self.overlaps:
            yield from examples(self.ndims, worms)

    def _value(self, truth: Truth, found: Instances) -> dict[str, float]:
        return self.spec.summarise([self.spec.count(truth, found)])


def _shifted(scene: Scene) -> Instances:
    """The objects moved by two voxels, the last one gone."""
    moved = np.roll(scene.truth.layers, 2, axis=-1)
    moved[moved == moved.max()] = 0
    return Instances.from_layers(moved)


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Equal up to rounding; values that are not numbers are equal to each other."""
    return set(one) == set(other) and all(
        abs(one[k] - other[k]) <= 1e-9 * max(1, abs(one[k])) if isfinite(one[k]) else repr(one[k]) == repr(other[k])
        for k in one
    )
