"""What was done of an image serves only the division into blocks that it was done for, and nothing of what is left
out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.builtin.postprocessors.watershed import Watershed
from toolkit.errors import BlocksFailed, InputError, OutOfMemory, UsageError
from toolkit.gpu.backend import Backend
from toolkit.pipeline import passes
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.passes import Work, keep, local, sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.workers import serial
from toolkit.plugins.specs import PostProcessor
from toolkit.steps.void import hulls, numbers, said, without
from toolkit.testing.blockwise import pieces, prediction
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.scattered import whole
from toolkit.values.tiles import Box, Lattice, blocks

LATTICE = Lattice((60, 70), (16, 16), (0, 0))


def noise(seed: int = 1) -> Prediction:
    rng = np.random.default_rng(seed)
    return prediction({"foreground": (rng.random((1, *LATTICE.shape)) < 0.62).astype(np.float32)})


def shelved(spec: PostProcessor, shelf: Shelf, size: int) -> Instances:
    kept = pieces(spec, noise(), LATTICE, folder=shelf.folder)
    return whole(sweep(spec, kept, blocks(LATTICE, size), shelf=shelf))


@pytest.mark.parametrize("sizes", [(32, 16), (16, 48)])
def test_a_run_that_goes_on_with_other_blocks_gives_the_same_objects(
    tmp_path: Path, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, shelf = Watershed(min_size=1), Shelf(tmp_path, "a")
    died = []

    def dies(postprocess: PostProcessor, kept: Pieces, loose: bool, work: Work) -> object:
        if work.number == 1 and not died:
            died.append(work)
            raise KeyboardInterrupt
        return local(postprocess, kept, loose, work)

    monkeypatch.setattr(passes, "local", dies)
    with pytest.raises(KeyboardInterrupt):
        shelved(spec, shelf, sizes[0])
    assert shelf.known("reduce-1")
    wanted = whole(sweep(spec, pieces(spec, noise(), LATTICE), blocks(LATTICE, None)))
    found = shelved(spec, shelf, sizes[1])
    assert found == wanted
    assert np.array_equal(found.scores, wanted.scores)


def void(spec: PostProcessor, parts: list[Box], size: int | None) -> Instances:
    """The objects of the noise without some parts."""
    left = numbers(parts, LATTICE)
    kept, backend = Pieces(LATTICE, Backend(), void=left), Backend()
    seen = noise()
    for number in kept.missing():
        window = kept.windows[number]
        (piece,) = keep(spec, [seen.crop(window.core)], backend)
        kept.add(number, piece)
    found = whole(sweep(spec, kept, blocks(LATTICE, size)))
    return without(found, parts) if kept.dense else found


class Dense(PostProcessor):
    """Finds what is dark: what says nothing is an object to it."""

    kind: str = "dense"

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        return Instances.from_labels((prediction["foreground"][0] < 0.5).astype(np.uint8))


@pytest.mark.parametrize("spec", [Threshold(min_size=1), Watershed(min_size=1), Dense()], ids=lambda s: s.kind)
def test_nothing_is_found_in_what_is_left_out_and_elsewhere_all_that_is_found_without_it(spec: PostProcessor) -> None:
    parts = hulls(["20:30,0:5", "40:60,50:70"], LATTICE, LATTICE.shape, "a")
    assert parts == [Box((16, 0), (32, 16)), Box((32, 48), (60, 70))]
    found = [void(spec, parts, size) for size in (None, 16, 32)][: 3 if spec.exact else 1]
    assert len(found[0]) > 0
    assert all(other == found[0] for other in found)
    for part in parts:
        assert len(found[0].crop(part)) == 0
    background = noise().heads["foreground"].copy()
    for part in parts:
        background[(0, *part.slices)] = 0
    alone = pieces(spec, prediction({"foreground": background}), LATTICE)
    wanted = whole(sweep(spec, alone, blocks(LATTICE, None)))
    assert found[0] == (without(wanted, parts) if alone.dense else wanted)


@pytest.mark.parametrize("shape", [(60, 70), (120, 140), (31, 44), (200, 35)])
def test_a_box_that_is_said_means_the_windows_that_it_was_said_of(shape: tuple[int, int]) -> None:
    for window in LATTICE.windows():
        text = said(window.core, LATTICE, shape)
        assert hulls([text], LATTICE, shape, "a") == [window.core]


@pytest.mark.parametrize(("text", "error", "words"), [
    ("0:60,0:70", UsageError, "nothing of the image is left: a, --skip-block; leave out less"),
    ("0:60", InputError, "the box has 1 axes and the image has 2: a, --skip-block 0:60"),
    ("90:99,0:5", InputError, "the box lies outside of the image"),
    ("5:3,0:5", UsageError, "a box is first:last along each axis"),
])  # fmt: skip
def test_a_part_that_cannot_be_left_out_is_a_sentence(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        hulls([text], LATTICE, (60, 70), "a")


def test_objects_without_a_part_are_cut_and_those_inside_are_gone() -> None:
    labels = np.zeros((3, 6, 7), np.uint8)
    labels[1, 1:5, 1:6], labels[1, 2, 0] = 1, 2
    part = Box((0, 2, 0), (3, 4, 3))
    found = without(Instances.from_labels(labels), [part])
    labels[part.slices] = 0
    assert found == Instances.from_labels(labels)
    assert len(found) == 1


def test_pieces_that_are_opened_elsewhere_have_the_same_void(tmp_path: Path) -> None:
    from toolkit.pipeline.origin import Origin

    spec = Threshold()
    kept = Pieces(LATTICE, Backend(), Origin((60, 70), (1, 1), spec), tmp_path, 0, void=(3, 4))
    for number in kept.missing():
        (piece,) = keep(spec, [noise().crop(kept.windows[number].core)], Backend())
        kept.add(number, piece)
    other = Pieces.open(kept.save(), Backend(), spec)
    box = Box.whole((60, 70))
    assert other.void == {3, 4}
    assert np.array_equal(other.read(box, box).start, kept.read(box, box).start)


def test_who_outlives_a_run_opens_what_was_saved_since(tmp_path: Path) -> None:
    from toolkit.pipeline.origin import Origin

    spec = Threshold()
    bench = Bench(SimpleNamespace(backend=Backend(), model=SimpleNamespace(recipe=SimpleNamespace(postprocess=spec))))
    for void in ((), (3, 4), ()):
        Pieces(LATTICE, Backend(), Origin((60, 70), (1, 1), spec), tmp_path, 0, void=void).save()
        before = bench.pieces(str(tmp_path)), bench.parts(str(tmp_path))
        assert before[0].void == set(void)
        assert (bench.pieces(str(tmp_path)), bench.parts(str(tmp_path))) == before


def lacking(number: int) -> int:
    if number == 3:
        raise MemoryError
    return number


def test_lack_of_memory_says_for_what_and_a_known_item_is_kept() -> None:
    with pytest.raises(OutOfMemory, match="memory does not suffice: 3") as caught:
        list(serial(lacking, range(5)))
    assert caught.value.item == 3
    known = BlocksFailed("it")
    known.item = "inner"

    def knows(number: int) -> int:
        raise known

    with pytest.raises(BlocksFailed) as failed:
        list(serial(knows, [1]))
    assert failed.value.item == "inner"
