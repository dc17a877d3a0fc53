"""What every post-processor keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import ValidationError

from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.plugins.specs import PostProcessor
from toolkit.steps.matching import compare
from toolkit.testing.blockwise import Heads, assemble, grid, pieces, prediction
from toolkit.testing.gpu import need_gpu
from toolkit.testing.scenes import Scene, blobs, empty, examples, worms
from toolkit.tune.search import value
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.tiles import Block, Lattice
from toolkit.values.truth import Truth

T = TypeVar("T")

GOOD = 0.75
"""Least F1 at IoU .5 that ideal heads, and blocks of a method that is not exact, must reach."""


class PostProcessorTests:
    """Subclass it, set `spec`, write `heads`, and pytest runs these tests on your post-processor."""

    spec: ClassVar[PostProcessor]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    """Numbers of spatial axes that the post-processor supports."""
    overlaps: ClassVar[bool] = False
    """Whether it must keep crossing objects whole."""

    def heads(self, scene: Scene) -> Heads:
        """What a perfect network would say about `scene`: `(C, *shape)` float32, activations applied."""
        raise NotImplementedError(f"{type(self).__name__} must say what ideal heads are")

    def test_it_is_its_configuration(self) -> None:
        again = type(self.spec).model_validate(self.spec.model_dump(mode="json"))
        assert again == self.spec, f"{again!r} came back from the fields of {self.spec!r}"

    def test_every_tunable_field_takes_its_whole_range(self) -> None:
        for name, search in type(self.spec).tunable().items():
            for end in search.choices or (search.low, search.high):
                type(self.spec).model_validate({**self.spec.model_dump(), name: end})

    def test_ideal_heads_give_the_objects(self) -> None:
        for scene in self._scenes():
            found = self._run(scene)
            assert found.shape == scene.shape, f"instances have shape {found.shape}, the image has {scene.shape}"
            score = agreement(scene.instances, found)
            assert score >= GOOD, f"F1 {score:.2f}: {len(scene.instances)} objects, {len(found)} found"

    def test_scores_are_probabilities(self) -> None:
        for scene in self._scenes():
            scores = self._run(scene).scores
            assert ((scores >= 0) & (scores <= 1)).all(), f"scores from {scores.min()} to {scores.max()}"

    def test_nothing_gives_nothing(self) -> None:
        for scene in examples(self.ndims, empty):
            found = self._run(scene)
            assert len(found) == 0, f"{len(found)} objects in an image without any"

    def test_the_heads_are_untouched(self) -> None:
        for scene in self._scenes():
            heads = self.heads(scene)
            before = {name: head.copy() for name, head in heads.items()}
            assemble(self.spec, prediction(heads, scene.truth.voxel_size), self._cuts(scene)[0])
            for name, head in heads.items():
                assert np.array_equal(head, before[name], equal_nan=True), f"head {name} was written into"

    def test_one_block_is_the_same_as_assemble(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            assert self.spec.assemble(whole, Backend()) == assemble(self.spec, whole), "assemble and passes disagree"

    def test_blocks_do_not_matter(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            one = assemble(self.spec, whole)
            for blocks in self._cuts(scene):
                many = assemble(self.spec, whole, blocks)
                if self.spec.exact:
                    assert many == one, (
                        f"{len(blocks)} blocks give {len(many)} objects, one block {len(one)}, or others"
                    )
                else:
                    score = agreement(one, many)
                    assert score >= GOOD, f"{len(blocks)} blocks and one block agree by F1 {score:.2f} only"

    def test_windows_do_not_matter(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            found = assemble(self.spec, whole, lattice=_small(scene.shape))
            one = assemble(self.spec, whole)
            assert found == one, f"pieces of small windows give {len(found)} objects, one window {len(one)}, or others"

    def test_a_piece_depends_on_its_window_alone(self) -> None:
        for scene in self._scenes():
            whole, lattice = prediction(self.heads(scene), scene.truth.voxel_size), _small(scene.shape)
            seen = [replace(whole.crop(w.outer & whole.box), core=w.core) for w in lattice.windows()]
            forward = [self.spec.keep(one, Backend()) for one in seen]
            backward = [self.spec.keep(one, Backend()) for one in reversed(seen)][::-1]
            assert all(map(_same, forward, backward)), "keep remembers windows that it has seen before"

    def test_loose_pieces_serve_every_value_in_the_range_of_a_search(self) -> None:
        for scene in self._scenes():
            whole, lattice = prediction(self.heads(scene), scene.truth.voxel_size), _small(scene.shape)
            loose = pieces(self.spec, whole, lattice, loose=True).read(whole.box, whole.box)
            for spec in self._settings():
                strict = pieces(spec, whole, lattice).read(whole.box, whole.box)
                assert _same(spec.cut(loose), strict), f"a loose piece that is cut is no strict one of {spec!r}"

    def test_fragments_and_states_can_be_written_and_read(self) -> None:
        for scene in self._scenes():
            kept = pieces(self.spec, prediction(self.heads(scene), scene.truth.voxel_size), _small(scene.shape))
            halo, state = self.spec.halo(len(scene.shape)), None
            for step in self.spec.passes():
                fragments = []
                for block in self._cuts(scene)[1]:
                    outer = block.core.grow(halo, within=scene.shape)
                    part: Any = None if state is None else _again(state.window(outer))
                    made = step.local(kept.read(outer, block.core), part, Backend())
                    assert isinstance(made, step.fragment), f"a fragment is a {type(made).__name__}, not as Pass says"
                    fragments.append(_again(made))
                state = _again(step.reduce(fragments, state, Backend()))
            assert state == assemble(self.spec, prediction(self.heads(scene), scene.truth.voxel_size),
                                     self._cuts(scene)[1]), "what was written and read gives other objects"  # fmt: skip

    def test_twice_is_the_same(self) -> None:
        for scene in self._scenes():
            assert self._run(scene) == self._run(scene), "the same heads gave other objects"

    def test_any_heads_are_taken(self) -> None:
        for scene in self._scenes():
            for number, noise in enumerate(_noise(self.heads(scene))):
                found = assemble(self.spec, prediction(noise, scene.truth.voxel_size))
                assert found.shape == scene.shape, f"noise {number} gave shape {found.shape}"
                assert (found.sizes > 0).all(), f"noise {number} gave an object without voxels"

    def test_gpu_agrees_with_cpu(self) -> None:
        backend = need_gpu()
        for scene in self._scenes():
            heads = self.heads(scene)
            there = assemble(self.spec, prediction(heads, scene.truth.voxel_size, backend), backend=backend)
            assert there == assemble(self.spec, prediction(heads, scene.truth.voxel_size)), "CPU and GPU disagree"

    def _settings(self) -> Iterator[PostProcessor]:
        """The spec, and with each tunable field at the ends and in the middle of its range, as far as that may be."""
        yield self.spec
        for name, search in type(self.spec).tunable().items():
            for mark in (0.0, 0.5, 1.0):
                try:
                    yield type(self.spec).model_validate({**self.spec.model_dump(), name: value(search, mark)})
                except ValidationError:
                    continue

    def _scenes(self) -> Iterator[Scene]:
        yield from examples(self.ndims, blobs)
        if self.overlaps:
            yield from examples(self.ndims, worms)

    def _run(self, scene: Scene) -> Instances:
        return assemble(self.spec, prediction(self.heads(scene), scene.truth.voxel_size))

    def _cuts(self, scene: Scene) -> list[list[Block]]:
        """The image in halves along each axis, and in uneven pieces."""
        halves = [[0, n // 2, n] for n in scene.shape]
        uneven = [[0, n] if n < 16 else [0, n // 5, n // 5 + 9, n] for n in scene.shape]
        return [grid(halves), grid(uneven)]


def _small(shape: tuple[int, ...]) -> Lattice:
    """Several windows along each axis that is not thin."""
    return Lattice(shape, tuple(max(1, -(-n // 2)) for n in shape), tuple(min(4, n // 4) for n in shape))


def _same(a: Piece, b: Piece) -> bool:
    """Whether two pieces hold the same, bit by bit."""
    mine, theirs = arrays.flat(a), arrays.flat(b)
    return mine[1] == theirs[1] and all(np.array_equal(x, theirs[0][n], equal_nan=_real(x)) for n, x in mine[0].items())


def _real(array: Any) -> bool:
    return bool(array.dtype.kind == "f")


def _again(given: T) -> T:
    """The same, written to a file and read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "value"
        try:
            arrays.write(path, given)
        except TypeError as error:
            raise AssertionError(f"{error}; see toolkit.api.Pass") from error
        return arrays.read(path, type(given))


def agreement(expected: Instances, found: Instances) -> float:
    """F1 at IoU .5; 1 if there is nothing in both."""
    if not len(expected) and not len(found):
        return 1.0
    hits = compare(Truth.from_instances(expected), found).match(50).tp
    return 2 * hits / (len(expected) + len(found))


def _noise(heads: Heads) -> Iterator[Heads]:
    """Heads with the values of these at random places, all at their least, and all at their greatest."""
    rng = np.random.default_rng(0)
    yield {name: rng.permuted(head.reshape(len(head), -1), axis=1).reshape(head.shape) for name, head in heads.items()}
    yield {name: np.full_like(head, head.min()) for name, head in heads.items()}
    yield {name: np.full_like(head, head.max()) for name, head in heads.items()}
