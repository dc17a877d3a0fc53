"""What every post-processor keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins import seams
from toolkit.testing.blockwise import Heads, assemble, prediction
from toolkit.testing.division import GOOD, BlockTests, agreement, centred, dimmed
from toolkit.testing.gpu import need_gpu
from toolkit.testing.scenes import SHAPES, Scene, blobs, empty, examples, repeated, worms
from toolkit.testing.seeded import same_for_any_seed
from toolkit.values.prediction import Head
from toolkit.values.thought import Marks

BYTE, MANY, ROOM = 256, 400, 2**24
"""Objects that 8 bits tell apart; as many as an image has in which there are more; numbers in the heads of it."""
FEW = (1, 2, 3, 8)
"""Objects of images of which all must be found: where one is missing each time, it is none by chance."""
ASIDE = 0.75
"""Most voxels along an axis that objects may lie aside, all of them: less than a place that is counted wrongly."""


class PostProcessorTests(BlockTests):
    """Subclass it, set `spec`, write `heads`, and pytest runs these tests on your post-processor."""

    def test_it_is_its_configuration(self) -> None:
        again = type(self.spec).model_validate(self.spec.model_dump(mode="json"))
        assert again == self.spec, f"{again!r} came back from the fields of {self.spec!r}"

    def test_every_tunable_field_takes_its_whole_range(self) -> None:
        for name, search in type(self.spec).tunable().items():
            for end in search.choices or (search.low, search.high):
                type(self.spec).model_validate({**self.spec.model_dump(), name: end})

    def test_every_tunable_field_is_in_its_range(self) -> None:
        for name, search in type(self.spec).tunable().items():
            field = type(self.spec).model_fields[name]
            own = field.get_default(call_default_factory=True)
            looks = f"at {search.choices}" if search.choices else f"from {search.low} to {search.high}"
            assert field.is_required() or search.holds(own), (
                f"{name} is {own} by default, and seg tune looks {looks}: let its Search hold the default"
            )

    def test_missing_heads_are_refused(self) -> None:
        for ndim in self.ndims:
            try:
                self.spec.check({}, ndim)
            except ValueError:
                continue
            raise AssertionError(
                "check accepts a model without any head: write need(heads, {name: channels}, self.kind)"
            )

    def test_its_halo_has_a_number_per_axis(self) -> None:
        for ndim in self.ndims:
            halo: tuple[Any, ...] = self.spec.halo(ndim)
            assert len(halo) == ndim, f"halo({ndim}) is {halo}"
            assert all(isinstance(n, int) and n >= 0 for n in halo), f"halo({ndim}) is {halo}: whole voxels, 0 or more"

    def test_objects_share_voxels_only_if_it_says_so(self) -> None:
        for scene in [*self._scenes(), *examples(self.ndims, worms)]:
            pairs = len(self._run(scene).overlapping_pairs()[0])
            assert self.spec.overlaps or not pairs, f"{pairs} pairs of objects share voxels: set overlaps = True"

    def test_ideal_heads_give_the_objects(self) -> None:
        for scene in self._scenes():
            found = self._run(scene)
            assert found.shape == scene.shape, f"instances have shape {found.shape}, the image has {scene.shape}"
            score = (centred if self.spec.detects else agreement)(scene.instances, found)
            alone = len(found) and self._sees_the_image(scene)
            cure = "; objects that touch are divided: label alone makes them one" if alone else ""
            assert score >= GOOD, f"F1 {score:.2f}: {len(scene.instances)} objects, {len(found)} found{cure}"
            off = _aside(scene.instances.centroids, found.centroids)
            assert np.abs(off).max() <= ASIDE, (
                f"objects lie {', '.join(f'{each:.1f}' for each in off)} voxels along the axes from where they are"
            )

    def test_of_few_objects_none_is_left_out(self) -> None:
        shape = SHAPES[self.ndims[0]]
        for count in FEW:
            scene = blobs(shape, count, (5.0, 7.0), seed=count)
            if len(self._run(scene)) != len(scene.instances) - 1:
                return
        raise AssertionError(f"of {FEW} objects one less is found each time: is a loop over labels one too short?")

    def test_more_objects_than_a_byte_counts_are_found_where_their_heads_are_small(self) -> None:
        scene = next(self._scenes())
        heads, one, found = self.heads(scene), len(self._run(scene)), 0
        for most in (MANY, 4 * MANY):  # where scenes meet, objects may become one
            times = -(-most // max(1, one))
            if times * sum(head.size for head in heads.values()) > ROOM:
                return
            found = len(self._assembled(prediction(self._crowd(scene, times), scene.truth.voxel_size)))
            if found > BYTE or not one:
                return
        raise AssertionError(f"{found} objects in an image of about {one * times}: are its labels uint8?")

    def test_scores_are_probabilities(self) -> None:
        for scene in self._scenes():
            scores = self._run(scene).scores
            assert ((scores >= 0) & (scores <= 1)).all(), f"scores from {scores.min()} to {scores.max()}"

    def test_nothing_gives_nothing(self) -> None:
        for scene in examples(self.ndims, empty):
            found = self._run(scene)
            cure = "; noise is none: ask how far bright and dark are apart" if self._sees_the_image(scene) else ""
            assert len(found) == 0, f"{len(found)} objects in an image without any{cure}"

    def _sees_the_image(self, scene: Scene) -> bool:
        """Whether no network has divided objects and told them from noise."""
        heads = {name: Head(name, len(head), "sigmoid") for name, head in self.heads(scene).items()}
        if heads.pop("image", None) is None:
            return False
        try:
            self.spec.check(heads, len(scene.shape))
        except ValueError:
            return True
        return False

    def test_the_heads_are_untouched(self) -> None:
        for scene in self._scenes():
            heads = self.heads(scene)
            before = {name: head.copy() for name, head in heads.items()}
            assemble(self.spec, prediction(heads, scene.truth.voxel_size), self._cuts(scene)[0])
            for name, head in heads.items():
                assert np.array_equal(head, before[name], equal_nan=True), f"head {name} was written into"

    def test_twice_is_the_same(self) -> None:
        for scene in self._scenes():
            one = self._run(scene)
            # What it has seen in between must not matter either.
            for noise in _noise(self.heads(scene)):
                assemble(self.spec, prediction(noise, scene.truth.voxel_size))
            two = self._run(scene)
            assert one == two, "the same heads gave other objects"
            assert np.array_equal(one.scores, two.scores), "the same heads gave other scores: draw and remember nothing"

    def test_no_hash_decides(self) -> None:
        heads = self.heads(scene := next(self._scenes()))
        assert len(self._run(scene)), "it finds nothing in an image of objects, of which nothing can be told"
        faint = {n: 0.45 * h if h.min() >= 0 and h.max() <= 1 else h for n, h in heads.items()}
        same_for_any_seed(self.spec, faint, dimmed(heads, self.spec.exact), heads)

    def test_any_heads_are_taken(self) -> None:
        for scene in self._scenes():
            for number, noise in enumerate(_noise(self.heads(scene))):
                found = assemble(self.spec, prediction(noise, scene.truth.voxel_size))
                assert found.shape == scene.shape, f"noise {number} gave shape {found.shape}"
                assert (found.sizes > 0).all(), f"noise {number} gave an object without voxels"

    def test_it_shows_what_it_says_that_it_shows(self) -> None:
        told = set[str]()
        for scene in [*self._scenes(), *examples(self.ndims, empty)]:
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            piece = self._kept(whole)
            with seams.calling(self.spec, "thoughts"):
                thought = self.spec.thoughts(piece, Backend(), self.spec.shows)
            found = seams.thoughts(thought, scene.shape, self.spec)
            assert found.keys() <= {*self.spec.shows}, f"it tells {sorted(found)}: name them in shows"
            numbers = [one.rows() if isinstance(one, Marks) else one for one in found.values()]
            assert all(np.isfinite(values).all() for values in numbers), "what it shows is not finite"
            told |= found.keys()
        assert told or not self.spec.shows, f"it says that it shows {', '.join(self.spec.shows)}, and tells nothing"

    def test_gpu_agrees_with_cpu(self) -> None:
        backend = need_gpu()
        for scene in self._scenes():
            heads = self.heads(scene)
            there = assemble(self.spec, prediction(heads, scene.truth.voxel_size, backend), backend=backend)
            assert there == assemble(self.spec, prediction(heads, scene.truth.voxel_size)), "CPU and GPU disagree"

    def _crowd(self, scene: Scene, times: int) -> Heads:
        """Heads of a scene that lies side by side so many times."""
        return self.heads(repeated(scene, times))


def _aside(expected: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the objects `found` lie from the nearest expected ones along each axis: the median over objects."""
    apart: NDArray[np.float64] = found[:, None] - expected[None]
    nearest = (apart**2).sum(axis=-1).argmin(axis=1)
    off: NDArray[np.float64] = np.median(apart[np.arange(len(found)), nearest], axis=0)
    return off


def _noise(heads: Heads) -> Iterator[Heads]:
    """Heads with the values of these at random places, all at their least, and all at their greatest."""
    rng = np.random.default_rng(0)
    yield {name: rng.permuted(head.reshape(len(head), -1), axis=1).reshape(head.shape) for name, head in heads.items()}
    yield {name: np.full_like(head, head.min()) for name, head in heads.items()}
    yield {name: np.full_like(head, head.max()) for name, head in heads.items()}
