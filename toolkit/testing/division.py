"""What every post-processor keeps to however an image is cut: into windows, blocks, pieces, files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import ValidationError

from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline.passes import alone, ended, local, reduced, work_of
from toolkit.plugins import seams
from toolkit.plugins.specs import PostProcessor
from toolkit.steps.matching import compare
from toolkit.testing.blockwise import Heads, assemble, grid, pieces, prediction, small
from toolkit.testing.scenes import Scene, blobs, examples, lopsided, worms
from toolkit.tune.search import value
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Block
from toolkit.values.truth import Truth

T = TypeVar("T")
ALIKE = 0.9
"""Least F1 at IoU .9 between blocks and one block of a method that is not exact."""
CURE = "it says that it is exact"
REMEMBERS = "keep remembers windows that it has seen before"

DRAWS = 8
MARKS = np.linspace(0, 1, 41)
"""Settings that are drawn, and the places in a range that they are drawn from."""
GOOD = 0.75
"""Least F1 at IoU .5 that ideal heads, and blocks of a method that is not exact, must reach."""


class BlockTests:
    """Part of `PostProcessorTests`."""

    spec: ClassVar[PostProcessor]
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    """Numbers of spatial axes that the post-processor supports."""
    overlaps: ClassVar[bool] = False
    """Whether it must keep crossing objects whole."""

    def heads(self, scene: Scene) -> Heads:
        """What a perfect network would say about `scene`: `(C, *shape)` float32, activations applied."""
        raise NotImplementedError(f"{type(self).__name__} must say what ideal heads are")

    def test_one_block_is_the_same_as_assemble(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            assert self._assembled(whole) == assemble(self.spec, whole), "assemble and passes disagree"

    def test_blocks_do_not_matter(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            one = assemble(self.spec, whole)
            for blocks in self._cuts(scene):
                many = assemble(self.spec, whole, blocks)
                self._agree(one, many, blocks)

    def test_dim_and_empty_blocks_do_not_matter(self) -> None:
        for scene in examples(self.ndims, lopsided):
            whole = prediction(dimmed(self.heads(scene), self.spec.exact), scene.truth.voxel_size)
            one = assemble(self.spec, whole)
            for blocks in self._cuts(scene):
                many = assemble(self.spec, whole, blocks, lattice=small(scene.shape))
                self._agree(one, many, blocks)

    def test_windows_do_not_matter(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            found = assemble(self.spec, whole, lattice=small(scene.shape))
            one = assemble(self.spec, whole)
            assert found == one, f"pieces of small windows give {len(found)} objects, one window {len(one)}, or others"

    def test_the_piece_of_any_window_can_be_looked_at_by_itself(self) -> None:
        for scene in self._scenes():
            whole = prediction(self.heads(scene), scene.truth.voxel_size)
            kept = pieces(self.spec, whole, small(scene.shape))
            for window in kept.windows:
                alone(self.spec, kept.read(window.core, window.core), Backend())

    def test_a_piece_depends_on_its_window_alone(self) -> None:
        for scene in self._scenes():
            whole = prediction(dimmed(self.heads(scene), True), scene.truth.voxel_size)
            lattice = small(scene.shape)
            seen = [replace(whole.crop(w.outer & whole.box), core=w.core) for w in lattice.windows()]
            forward = [self._kept(one) for one in seen]
            backward = [self._kept(one) for one in reversed(seen)][::-1]
            assert all(map(_same, forward, backward)), REMEMBERS
            # Whoever remembers the first window alone begins with another one here.
            fresh = type(self.spec).model_validate(self.spec.model_dump())
            again = [fresh.keep(one, Backend()) for one in reversed(seen)][::-1]
            assert all(map(_same, forward, again)), REMEMBERS

    def test_loose_pieces_serve_every_value_in_the_range_of_a_search(self) -> None:
        for scene in self._scenes():
            heads, lattice = self.heads(scene), small(scene.shape)
            drawn = list(self._drawn())
            for given, settings in ((heads, list(self._settings())), (_grainy(heads, drawn), drawn)):
                whole = prediction(given, scene.truth.voxel_size)
                loose = pieces(self.spec, whole, lattice, loose=True).read(whole.box, whole.box)
                for spec in settings:
                    strict = pieces(spec, whole, lattice).read(whole.box, whole.box)
                    assert _same(spec.cut(loose), strict), f"a loose piece that is cut is no strict one of {spec!r}"

    def test_fragments_and_states_can_be_written_and_read(self) -> None:
        for scene in self._scenes():
            kept = pieces(self.spec, prediction(self.heads(scene), scene.truth.voxel_size), small(scene.shape))
            cuts = self._cuts(scene)[1]
            state: Any = None
            for number in range(len(self.spec.passes())):
                fragments = []
                for work in work_of(number, state, self.spec, kept, cuts):
                    part = None if state is None else _again(work.state)
                    fragments.append(_again(local(self.spec, kept, False, replace(work, state=part))))
                state = _again(reduced(self.spec, number, fragments, state, Backend()))
            found = ended(self.spec, state, fragments, scene.shape)
            assert found == assemble(self.spec, prediction(self.heads(scene), scene.truth.voxel_size), cuts), (
                "what was written and read gives other objects"
            )

    def _settings(self) -> Iterator[PostProcessor]:
        """The spec, and with each tunable field at the ends and in the middle of its range, as far as that may be."""
        yield self.spec
        for name, search in type(self.spec).tunable().items():
            for mark in (0.0, 0.5, 1.0):
                try:
                    yield type(self.spec).model_validate({**self.spec.model_dump(), name: value(search, mark)})
                except ValidationError:
                    continue

    def _drawn(self) -> Iterator[PostProcessor]:
        """The spec with all its tunable fields anywhere in their ranges, as far as that may be."""
        rng = np.random.default_rng(0)
        for _ in range(DRAWS):
            fields = {name: value(how, rng.choice(MARKS)) for name, how in type(self.spec).tunable().items()}
            try:
                yield type(self.spec).model_validate({**self.spec.model_dump(), **fields})
            except ValidationError:
                continue

    def _scenes(self) -> Iterator[Scene]:
        yield from examples(self.ndims, blobs)
        if self.overlaps:
            yield from examples(self.ndims, worms)

    def _assembled(self, whole: Prediction) -> Instances:
        """What `assemble` says of a whole image."""
        with seams.calling(self.spec, "assemble"):
            found = self.spec.assemble(whole, Backend())
        return seams.instances(found, whole.shape, self.spec, "assemble")

    def _kept(self, seen: Prediction) -> Piece:
        """What `keep` keeps of a window."""
        with seams.calling(self.spec, "keep"):
            return self.spec.keep(seen, Backend())

    def _run(self, scene: Scene) -> Instances:
        return assemble(self.spec, prediction(self.heads(scene), scene.truth.voxel_size))

    def _agree(self, one: Instances, many: Instances, blocks: list[Block]) -> None:
        count = f"{len(blocks)} blocks"
        if self.spec.exact:
            assert many == one, f"{count} give {len(many)} objects, one block {len(one)}, or others: {CURE}"
            off = np.abs(many.scores - one.scores).max(initial=0)
            assert off <= 1e-6, f"{count} give scores that differ by {off}: {CURE}"
            return
        for iou, least in ((50, GOOD), (90, ALIKE)):
            score = agreement(one, many, iou)
            assert score >= least, (
                f"{count} and one block agree by F1 {score:.2f} at IoU .{iou} only: is the halo as wide as "
                "what it looks at, and does nothing depend on all of a block, such as its greatest value?"
            )

    def _cuts(self, scene: Scene) -> list[list[Block]]:
        """The image in halves along each axis, and in uneven pieces."""
        halves = [[0, n // 2, n] for n in scene.shape]
        uneven = [[0, n] if n < 16 else [0, n // 5, n // 5 + 9, n] for n in scene.shape]
        return [grid(halves), grid(uneven)]


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


def centred(expected: Instances, found: Instances) -> float:
    """F1 of objects that stand for their centres: each belongs to the object that it lies in."""
    labels = expected.to_labels()
    hits = {int(labels[tuple(np.rint(centre).astype(int))]) for centre in found.centroids} - {0}
    return 2 * len(hits) / max(1, len(expected) + len(found))


def agreement(expected: Instances, found: Instances, iou: int = 50) -> float:
    """F1 at IoU `iou` per cent; 1 if there is nothing in both."""
    if not len(expected) and not len(found):
        return 1.0
    hits = compare(Truth.from_instances(expected), found).match(iou).tp
    return 2 * hits / (len(expected) + len(found))


def dimmed(heads: Heads, all_of_them: bool) -> Heads:
    """Heads whose right half is dim; without `all_of_them` only those that are probabilities."""
    made = {name: head.copy() for name, head in heads.items()}
    for head in made.values():
        if all_of_them or (head.min() >= 0 and head.max() <= 1):
            head[..., head.shape[-1] // 2 :] *= 0.45
    return made


def _grainy(heads: Heads, settings: Sequence[PostProcessor]) -> Heads:
    """Heads of any values in their range; many are exactly what a setting has for a threshold."""
    rng = np.random.default_rng(0)
    said = [float(v) for s in settings for n in type(s).tunable() if isinstance(v := getattr(s, n), int | float)]
    marks = np.array([*said, *(1 - v for v in said), 0.5])
    made = {}
    for name, head in heads.items():
        any_value = head * rng.uniform(0, 1.2, head.shape)
        value = np.where(rng.random(head.shape) < 0.5, any_value, rng.choice(marks, head.shape))
        made[name] = np.clip(value, head.min(), head.max()).astype(np.float32)
    return made
