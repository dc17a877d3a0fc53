"""At what size an image is seen: as said, by the voxel size, or as a first look at it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models import load, see_through
from toolkit.errors import InputError, UsageError
from toolkit.pipeline import sized as module
from toolkit.pipeline.look import Seen, look, meeting, rows
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.pipeline.sized import estimate
from toolkit.steps.sizes import Diameter, Sizes
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.voxels import Voxels

LEARNT = Sizes(low=8, median=10, high=14)


def discs(shape: tuple[int, ...], radius: float, apart: int, **about: Any) -> Image:
    """Bright discs or balls on a grid."""
    grid = np.indices(shape) % apart - apart / 2 + 0.5
    return Image.from_array(((grid**2).sum(0) < radius**2).astype(np.uint8) * 200 + 10, **about)


def session(folder: Path, ndim: int = 2, **given: Any) -> Session:
    given = {"diameter_px": LEARNT.model_dump()} | given
    return Session(load(see_through(folder, ndim, input=given)), "cpu")


def rescaling(session: Session, image: Image, asked: Diameter) -> Rescaling:
    return module.rescaling(session, image, asked)[0]


def test_objects_far_from_what_was_learnt_are_seen_at_its_size(tmp_path: Path) -> None:
    small = session(tmp_path)
    image = discs((240, 240), 20, 60)
    found = rescaling(small, image, Diameter())
    # At the upper end of what was learnt, which costs them least of their detail.
    assert found.diameter_px == pytest.approx(40, abs=3)
    assert found.by == pytest.approx((14 / found.diameter_px,) * 2, rel=0.05)
    by = f"{found.by[0]:.3g}"
    assert found.said == f"objects Ø {found.diameter_px:.3g} px, the model learnt Ø 8–14: seen at ×{by}"
    assert rescaling(small, image, Diameter()) == found
    tiny = rescaling(small, discs((96, 96), 2.5, 12), Diameter())
    # Between the lower end and the median.
    assert tiny.by == pytest.approx((800 ** (1 / 3) / tiny.diameter_px,) * 2, rel=0.05)


def test_objects_of_sizes_that_were_learnt_are_seen_as_they_are(tmp_path: Path) -> None:
    found = rescaling(session(tmp_path), discs((120, 120), 6, 24), Diameter())
    assert found.by == ()
    assert found.diameter_px == pytest.approx(12, abs=1)
    assert rescaling(session(tmp_path / "b"), discs((240, 240), 20, 60), Diameter("off")).by == ()


def test_what_shows_nothing_or_too_little_is_seen_as_it_is(tmp_path: Path) -> None:
    one = session(tmp_path)
    assert rescaling(one, Image.from_array(np.full((50, 50), 3)), Diameter()).by == ()
    assert rescaling(one, discs((60, 60), 20, 60), Diameter()).by == ()
    unknown = session(tmp_path / "b", diameter_px=None)
    assert rescaling(unknown, discs((240, 240), 20, 60), Diameter()).by == ()


def test_a_diameter_that_is_said_counts(tmp_path: Path) -> None:
    one = session(tmp_path)
    image = discs((120, 120), 6, 24, voxel_size=(0.5, 0.5), calibrated=True)
    assert rescaling(one, image, Diameter("px", 40)).by == (2**-1.5, 2**-1.5)
    assert rescaling(one, image, Diameter("um", 20)).by == (2**-1.5, 2**-1.5)
    assert rescaling(one, image, Diameter("px", 12)).by == ()
    assert rescaling(one, image, Diameter("px", 1e-9)).said.endswith("seen at ×16, which is the most")
    assert rescaling(one, image, Diameter("px", 1e9)).said.endswith("seen at ×0.0625, which is the least")
    with pytest.raises(InputError, match="voxel size is unknown"):
        rescaling(one, discs((120, 120), 6, 24), Diameter("um", 20))
    with pytest.raises(UsageError, match="does not know the size"):
        rescaling(session(tmp_path / "b", diameter_px=None), image, Diameter("px", 40))


def test_known_voxel_sizes_go_before_a_look(tmp_path: Path) -> None:
    one = session(tmp_path, 3, spacing_um=[2.0, 0.5, 0.5])
    image = discs((6, 40, 40), 3, 20, voxel_size=(2.0, 0.25, 0.25), calibrated=True)
    found = rescaling(one, image, Diameter())
    assert found.by == (1.0, 0.5, 0.5)
    assert found.said == "voxels of 2×0.25×0.25 µm, the model learnt 2×0.5×0.5 µm: seen at ×1×0.5×0.5"
    near = discs((6, 40, 40), 3, 20, voxel_size=(2.1, 0.45, 0.45), calibrated=True)
    assert rescaling(one, near, Diameter()).by == ()
    assert rescaling(one, image, Diameter("off")).by == ()


def test_shrunk_images_are_measured_as_the_network_sees_them(tmp_path: Path) -> None:
    one = session(tmp_path, shrink=[2, 2])
    image = discs((240, 240), 20, 60)
    found = rescaling(one, image, Diameter())
    assert found.diameter_px == pytest.approx(40, abs=3)
    assert found.by == pytest.approx((28 / found.diameter_px,) * 2, rel=0.05)
    assert rescaling(one, image, Diameter("px", 40)).by == (2**-0.5, 2**-0.5)


def test_shards_at_one_scale_do_not_hide_objects_at_another() -> None:
    shards = Seen(1.0, np.full(90, 11.0), 0.10, 0.08)
    right = Seen(0.5, np.full(20, 90.0), 0.25, 0.20)
    far = Seen(0.25, np.full(12, 92.0), 0.24, 0.19)
    assert estimate([shards, right, far], LEARNT) == 92
    assert estimate([Seen(1.0, np.full(2, 9.0), 0.1, 0.1)], LEARNT) is None


def test_a_look_at_a_large_image_predicts_two_windows_of_the_run(tmp_path: Path) -> None:
    tiling = {"window": [128, 128], "overlap": 16}
    one = Session(load(see_through(tmp_path, input={"diameter_px": LEARNT.model_dump()}, tiling=tiling)), "cpu")
    image = discs((600, 600), 6, 24)
    found, prepared = module.rescaling(one, image, Diameter())
    assert found.by == ()
    assert found.diameter_px == pytest.approx(12, abs=1)
    assert len(prepared.kept) == 2
    fresh = one.prepare(image)
    for number, piece in zip(prepared.kept, one.kept(fresh, list(prepared.kept)), strict=True):
        assert piece.core == list(one.lattice(fresh).windows())[number].core
        same = prepared.kept[number]
        assert isinstance(piece, Voxels)
        assert isinstance(same, Voxels)
        assert np.array_equal(piece.mask(), same.mask())
    assert one.objects(one.pieces(prepared)) == one.objects(one.pieces(fresh))


def test_where_few_objects_are_seen_the_look_goes_on_to_neighbours_of_its_windows(tmp_path: Path) -> None:
    one = session(tmp_path)
    _, prepared = module.rescaling(one, discs((400, 400), 6, 24), Diameter())
    boxes = rows(prepared)
    assert [len(parts) for parts in boxes.values()] == [2, 2]
    assert all(sum(part.core.size for part in parts) == box.size for box, parts in boxes.items())


def test_right_sizes_that_crowd_are_compared_with_a_look_from_afar(tmp_path: Path) -> None:
    tiling = {"window": [64, 64], "overlap": 8}
    one = Session(load(see_through(tmp_path, input={"diameter_px": LEARNT.model_dump()}, tiling=tiling)), "cpu")
    looked: list[float] = []

    def noted(session: Session, here: Prepared, by: float, *more: Any, **other: Any) -> tuple[Seen, Prepared]:
        looked.append(by)
        return look(session, here, by, *more, **other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "look", noted)
        assert rescaling(one, discs((300, 300), 5, 16), Diameter()).by == ()
        assert looked == []
        y, x = np.indices((300, 300))
        discs_in = [((y + 9 * k) % 18 - 8.5) ** 2 + ((x + 6 * k) % 12 - 5.5) ** 2 < 23 for k in (0, 1)]
        crowd = Image.from_array((discs_in[0] | discs_in[1]).astype(np.uint8) * 200 + 10)
        assert rescaling(one, crowd, Diameter()).by == ()
        assert looked == [0.5]


def test_objects_of_the_right_size_stand_apart_or_may_be_shards() -> None:
    assert Seen(1.0, np.full(9, 10.0), 0.1, 0.1, apart=5).clear
    assert not Seen(1.0, np.full(9, 10.0), 0.1, 0.1, apart=4).clear
    assert Seen(1.0, np.full(8, 10.0), 0.1, 0.1).sound(LEARNT)
    assert not Seen(1.0, np.full(7, 10.0), 0.1, 0.1).sound(LEARNT)
    assert not Seen(0.5, np.full(9, 10.0), 0.1, 0.1).sound(LEARNT)


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(2, 3))
def test_boxes_that_meet_are_those_that_share_a_voxel(seed: int, count: int, ndim: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 20, (count, ndim))
    last = first + rng.integers(0, 6, (count, ndim))
    pairs = ((first[:, None] <= last) & (first <= last[:, None])).all(2)
    assert np.array_equal(meeting(first, last), pairs.sum(1) > 1)
