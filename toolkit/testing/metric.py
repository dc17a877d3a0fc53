"""What every metric keeps to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, ClassVar

import numpy as np

from toolkit.plugins.metric import Metric
from toolkit.testing.scenes import Scene, blobs, empty, examples, sealed, worms
from toolkit.testing.seeded import same_for_any_seed
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

    def test_the_truth_itself_is_no_worse_than_anything_else(self) -> None:
        for scene in examples(self.ndims, blobs):
            best, other = self._value(scene.truth, scene.instances), self._value(scene.truth, _shifted(scene))
            for key in best.keys() & other.keys():
                lower = key.removesuffix(" pooled") in self.spec.lower_is_better
                worse = best[key] - other[key] if lower else other[key] - best[key]
                assert not worse > 1e-9, (
                    f"{key} of the truth is {best[key]}, of moved objects {other[key]}: lower_is_better "
                    f"{'names it' if lower else 'does not name it'}"
                )

    def test_twice_is_the_same(self) -> None:
        for scene in self._scenes():
            one, two = (self._value(scene.truth, _shifted(scene)) for _ in range(2))
            assert _same(one, two), f"{one}, and asked again {two}: count and summarise may not draw or remember"

    def test_truth_and_prediction_are_untouched(self) -> None:
        for scene in self._scenes():
            truth, found = scene.truth, _shifted(scene)
            before: tuple[Any, ...] = truth.layers.copy(), truth.centres.copy(), found.start.copy(), found.scores.copy()
            self._value(truth, found)
            after: tuple[Any, ...] = truth.layers, truth.centres, found.start, found.scores
            same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
            assert all(same), "count writes into what it compares: work on a copy"

    def test_pooled_values_are_those_of_sums_if_it_says_so(self) -> None:
        counts = [self.spec.count(scene.truth, _shifted(scene)) for scene in self._scenes()]
        counts += [self.spec.count(s.truth, Instances.empty(s.shape)) for s in self._scenes()]
        weights = np.random.default_rng(0).integers(0, 3, (3, len(counts)))
        weights[:, 0] = 1
        found = self.spec.resampled(counts, weights)
        for number, row in enumerate(weights):
            drawn = self.spec.summarise([counts[k] for k in np.repeat(np.arange(len(counts)), row).tolist()])
            for key, values in found.items():
                assert _same({key: float(values[number])}, {key: drawn[key]}), (
                    f"{key} is {drawn[key]} of images, {values[number]} of their sums: set additive = False"
                )

    def test_no_hash_decides(self) -> None:
        scene = next(self._scenes())
        same_for_any_seed(self.spec, {"truth": scene.truth.layers, "predicted": _shifted(scene).layers()})

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
        counts += [self.spec.count(scene.truth, Instances.empty(scene.shape)) for scene in self._scenes()]
        one, other = self.spec.summarise(counts), self.spec.summarise(counts[::-1])
        assert _same(one, other), f"{one}, and in reverse order {other}"

    def _scenes(self) -> Iterator[Scene]:
        for draw in (blobs, worms) if self.overlaps else (blobs,):
            for scene in examples(self.ndims, draw):
                sealed(scene.truth)
                yield scene

    def _value(self, truth: Truth, found: Instances) -> dict[str, float]:
        return self.spec.summarise([self.spec.count(truth, found)])


def _shifted(scene: Scene) -> Instances:
    """The objects moved by two voxels, the last one gone."""
    moved = np.roll(scene.truth.layers, 2, axis=-1)
    moved[moved == moved.max()] = 0
    found = Instances.from_layers(moved)
    for array in (found.start, found.length, found.offsets, found.scores):
        array.flags.writeable = False
    return found


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Equal up to rounding; values that are not numbers are equal to each other."""
    return set(one) == set(other) and all(
        abs(one[k] - other[k]) <= 1e-9 * max(1, abs(one[k])) if isfinite(one[k]) else repr(one[k]) == repr(other[k])
        for k in one
    )
