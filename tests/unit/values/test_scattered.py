"""Objects that lie in files of blocks are what they are in memory, to all who ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import io
from toolkit.steps.measure import measure
from toolkit.values import scattered as module
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.scattered import Scattered
from toolkit.values.tiles import Box, boxes


def cut(objects: Instances, size: tuple[int, ...]) -> Scattered:
    """The same objects in boxes of `size`, each part with the number of its object."""
    parts, owner = [], []
    for box in boxes(objects.shape, size):
        start, length, mine = objects.within(box)
        found = Instances.from_runs(objects.shape, start, length, mine, attributes={"of": np.arange(len(objects))})
        owner.append(found.attributes["of"])
        parts.append(Instances(found.shape, found.start, found.length, found.offsets, found.scores))
    return Scattered(Joined.by(parts, np.concatenate(owner), objects.scores), lambda k: parts[k], range(len(parts)))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Instances, tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = rng.integers(0, 5, shape) * (rng.random(shape) < 0.7)
    scores = {k: float(np.float32(rng.random())) for k in range(1, 5)}
    return Instances.from_labels(labels, scores), tuple(draw(st.integers(1, n)) for n in shape)


@settings(deadline=None)
@given(scenes(), st.data())
def test_what_is_asked_of_them_is_answered_alike(scene: tuple[Instances, tuple[int, ...]], data: st.DataObject) -> None:
    whole, size = scene
    parts = cut(whole, size)
    assert parts.whole() == whole
    assert parts.digest == whole.digest
    for name in ("scores", "sizes", "boxes", "centroids", "offsets", "layer_of"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name
    ends = [sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))) for n in whole.shape]
    box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    for mine, theirs in zip(parts.within(box), whole.within(box), strict=True):
        assert np.array_equal(mine, theirs)
    keep = np.array([data.draw(st.booleans()) for _ in range(len(whole))], bool)
    assert parts.select(keep).whole() == whole.select(keep)


@settings(deadline=None)
@given(scenes())
def test_the_runs_within_a_box_are_those_of_a_crop(scene: tuple[Instances, tuple[int, ...]]) -> None:
    whole, size = scene
    for box in boxes(whole.shape, size):
        start, length, owner = whole.within(box)
        cut_to = whole.place(Box.whole(whole.shape), whole.shape, keep=box)
        assert np.array_equal(Instances.from_runs(whole.shape, start, length, owner).start, cut_to.start)
        assert (np.diff(start) >= 0).all()


def test_results_are_the_same_bytes(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "ROOM", 2**10)  # one block
    monkeypatch.setattr(module, "MANY", 2**5)  # a few runs at a time
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 60, (4, 9, 8)) * (rng.random((4, 9, 8)) < 0.6), np.ones((5, 6, 7), int))
    whole = Instances.from_labels(labels)
    image = Image.from_array(rng.random(whole.shape).astype(np.float32), name="a")
    assert len(whole) > 30
    found = []
    for number, objects in enumerate((whole, cut(whole, (7, 20, 33)), cut(whole, (20, 1, 56)))):
        folder = tmp_path / str(number)
        io.write(folder, "a", objects, image, measure(objects, image, ("intensity",)), image)
        found.append({p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()})
    assert found[0] == found[1] == found[2]


def test_overlapping_objects_of_equal_first_voxel_and_size_stand_in_the_order_of_their_runs() -> None:
    masks = np.zeros((3, 4, 6), bool)
    masks[0, 0, :3] = masks[1, :2, 0] = masks[2, 0, :2] = True
    masks[1, 0, 1] = masks[2, 1, 1] = True
    one_by_one = [Instances.from_planes(mask[None], [0.5 + k / 10]) for k, mask in enumerate(masks)]
    wanted = Instances.from_planes(masks, [0.5, 0.6, 0.7])
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        parts = [one_by_one[k] for k in order]
        found = Joined.by(parts)
        assert np.array_equal(found.scores, wanted.scores)
        assert found.whole(parts) == wanted
