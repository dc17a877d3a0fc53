"""What an edit says of an image: drawn objects and the background around them, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scenes import planes
from toolkit.correct.edited import ID, Edited
from toolkit.correct.marks import Mark
from toolkit.correct.merge import RING, Corrected, merge
from toolkit.errors import InputError
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED


def labels(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (40, 40)) -> np.ndarray:
    """Boxes y0:y1, x0:x1 with ids from 1 on."""
    found = np.zeros(shape, np.int32)
    for number, (a, b, c, d) in enumerate(boxes, 1):
        found[a:b, c:d] = number
    return found


def saved(*layers: np.ndarray) -> Edited:
    """As a file with these layers is read."""
    stack = np.stack(layers)
    ids = np.unique(stack[stack > 0]).astype(np.int64)
    unknown = (stack == UNANNOTATED).any(0) & ~(stack > 0).any(0)
    return Edited(Instances.from_layers(stack, attributes={ID: ids}), unknown if unknown.any() else None)


BASE = labels((2, 10, 2, 10), (2, 10, 20, 28), (20, 28, 2, 10))


def known(state: Corrected) -> np.ndarray:
    """0 background, 1 object, −1 unknown."""
    truth = state.truth()
    return np.where(truth.unannotated, -1, np.minimum(truth.covered, 1).astype(np.int64))


def test_what_is_as_it_was_is_not_known() -> None:
    state, found = merge(Instances.from_labels(BASE), saved(BASE), (), "refuse", "a")
    assert (found.added, found.removed, found.changed, found.same, found.right) == (0, 0, 0, 3, 0)
    assert (known(state) == -1).all()


def test_objects_are_added_removed_and_changed_whatever_their_ids() -> None:
    edit = np.zeros_like(BASE)
    edit[BASE == 1] = 77  # as it was
    edit[2:10, 20:25] = 5  # smaller
    edit[30:38, 30:38] = 9  # new, and the third is gone
    state, found = merge(Instances.from_labels(BASE), saved(edit), (), "refuse", "a")
    assert (found.added, found.removed, found.changed, found.same, found.right) == (1, 1, 1, 1, 2)
    seen = known(state)
    assert (seen[edit == 5] == 1).all()
    assert (seen[edit == 9] == 1).all()
    assert (seen[(BASE == 2) & (edit == 0)] == 0).all()  # what it lost
    assert (seen[BASE == 3] == 0).all()  # what was taken away
    assert (seen[BASE == 1] == -1).all()
    assert seen[30 - RING, 33] == 0
    assert seen[30 - RING - 1, 33] == -1


def test_an_object_that_is_split_in_two_is_changed_and_added() -> None:
    edit = BASE.copy()
    edit[2:10, 7:10] = 8
    _, found = merge(Instances.from_labels(BASE), saved(edit), (), "refuse", "a")
    assert (found.added, found.removed, found.changed) == (1, 0, 1)


def test_an_untouched_neighbour_is_no_background_of_what_was_drawn() -> None:
    edit = BASE.copy()
    edit[2:10, 10:14] = 4
    state, _ = merge(Instances.from_labels(BASE), saved(edit), (), "refuse", "a")
    assert (known(state)[BASE == 1] == -1).all()


def test_a_whole_image_a_box_and_objects_are_right() -> None:
    base = Instances.from_labels(BASE)
    state, found = merge(base, None, [Mark("a", "whole")], "refuse", "a")
    assert found.whole
    assert found.right == 3
    assert np.array_equal(known(state), np.minimum(BASE, 1))
    state, found = merge(base, None, [Mark("a", "0:15,0:24")], "refuse", "a")
    assert found.right == 2  # half of the second lies in it
    assert (known(state)[:15, :24] == np.minimum(BASE, 1)[:15, :24]).all()
    assert (known(state)[15:] == -1).all()
    state, found = merge(base, None, [Mark("a", "1 3")], "refuse", "a")
    assert found.right == 2
    assert (known(state) == np.where(np.isin(BASE, (1, 3)), 1, -1)).all()
    with pytest.raises(InputError, match=r"that is not there, id 9: a; correct right\.csv"):
        merge(base, None, [Mark("a", "9")], "refuse", "a")
    with pytest.raises(InputError, match=r"the box lies outside of the image: a, \[40, 40\] voxels, right 50:60,0:9;"):
        merge(base, None, [Mark("a", "50:60,0:9")], "refuse", "a")


def test_a_box_that_leaves_the_image_is_refused_and_one_without_an_end_is_not() -> None:
    base = Instances.from_labels(BASE)
    for beyond in ("0:41,0:24", "30:,0:100"):
        with pytest.raises(InputError, match=rf"reaches beyond the image: a, \[40, 40\] voxels, right {beyond};"):
            merge(base, None, [Mark("a", beyond)], "refuse", "a")
    state, _ = merge(base, None, [Mark("a", "15:,:40")], "refuse", "a")
    assert (known(state)[15:] == np.minimum(BASE, 1)[15:]).all()
    assert (known(state)[:15] == -1).all()


def test_ids_that_are_right_are_those_of_the_edited_file_and_without_one_those_of_the_table() -> None:
    base = Instances.from_labels(BASE)
    edit = np.select([BASE == 1, BASE == 2, BASE == 3], [3, 1, 2]).astype(np.int32)
    state, _ = merge(base, saved(edit), [Mark("a", "3")], "refuse", "a")
    assert (known(state) == np.where(BASE == 1, 1, -1)).all()
    state, _ = merge(base, None, [Mark("a", "3")], "refuse", "a")
    assert (known(state) == np.where(BASE == 3, 1, -1)).all()


def test_what_the_file_calls_unannotated_is_not_known_even_in_an_image_that_is_right() -> None:
    edit = BASE.copy()
    edit[30:, :] = UNANNOTATED
    state, _ = merge(Instances.from_labels(BASE), saved(edit), [Mark("a", "whole")], "refuse", "a")
    assert (known(state)[30:] == -1).all()
    assert (known(state)[:30] == np.minimum(BASE, 1)[:30]).all()


def test_an_object_that_the_file_calls_unannotated_is_neither_removed_nor_changed() -> None:
    edit = BASE.copy()
    edit[BASE == 1] = UNANNOTATED
    edit[2:10, 24:28] = UNANNOTATED  # half of the second
    state, found = merge(Instances.from_labels(BASE), saved(edit), (), "refuse", "a")
    assert (found.added, found.removed, found.changed, found.same, found.unannotated) == (0, 0, 0, 2, 1)
    assert not found.any
    assert (known(state) == -1).all()
    edit[20:28, 2:5] = 0
    state, found = merge(Instances.from_labels(BASE), saved(edit), (), "refuse", "a")
    assert (found.added, found.removed, found.changed, found.same, found.unannotated) == (0, 0, 1, 1, 1)
    assert (known(state)[edit == 3] == 1).all()
    assert (known(state)[edit == UNANNOTATED] == -1).all()
    assert (known(state)[edit == 2] == -1).all()


def test_an_object_in_pieces_is_refused_kept_or_split_but_not_one_that_was_found_so() -> None:
    base = BASE.copy()
    base[35:38, 30:33] = 3
    edit = base.copy()
    _, found = merge(Instances.from_labels(base), saved(edit), (), "refuse", "a")
    assert found.same == 3
    edit[34:38, 10:14] = edit[34:38, 16:20] = 6
    with pytest.raises(InputError, match="objects lie in several pieces: a, id 6; draw them whole"):
        merge(Instances.from_labels(base), saved(edit), (), "refuse", "a")
    assert merge(Instances.from_labels(base), saved(edit), (), "keep", "a")[1].added == 1
    state, found = merge(Instances.from_labels(base), saved(edit), (), "split", "a")
    assert found.added == 2
    assert len(state.objects) == 5
    edit[34:38, 16:20] = 0
    edit[39, 16] = 6  # a stray voxel
    state, found = merge(Instances.from_labels(base), saved(edit), (), "refuse", "a")
    assert found.added == 1
    assert state.objects == Instances.from_labels(edit)


def test_a_series_has_no_background_before_and_after_a_drawn_object() -> None:
    base = np.zeros((3, 20, 20), np.int32)
    edit = base.copy()
    edit[1, 5:9, 5:9] = 1
    state, _ = merge(Instances.from_labels(base), saved(edit), (), "refuse", "a", series=True)
    assert (known(state.frame(0)) == -1).all()
    assert known(state.frame(1))[5 - RING, 6] == 0
    assert len(state.frame(1).objects) == 1
    assert state.frame(1).right.tolist() == [True]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans())
def test_known_voxels_agree_with_the_edit(one: int, other: int, right: bool) -> None:
    before, after = planes(one), planes(other)
    base, edit = Instances.from_planes(before), Instances.from_planes(after)
    there = Edited(Instances(**{**vars(edit), "attributes": {ID: np.arange(1, len(edit) + 1)}}), None)
    state, found = merge(base, there, [Mark("a", "whole")] if right else (), "keep", "a")
    assert found.added + found.changed + found.same == len(edit)
    assert found.removed + found.changed + found.same == len(base)
    seen, covered = known(state), after.any(0)
    assert covered[seen == 1].all()
    assert not covered[seen == 0].any()
    if right:
        assert (seen >= 0).all()
    assert state.objects == edit
