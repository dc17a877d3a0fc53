"""What to correct next: where a model disagrees with itself, not what is all of one kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.correct.results import found, result, save, without
from tests.unit.scenes import disturbed, labels, planes
from toolkit.cli import main
from toolkit.correct.correct import correct
from toolkit.correct.doubt import NOTHING, disputed, doubt, quarter_turns, regions, turned, turned_back
from toolkit.correct.result import opened
from toolkit.correct.suggest import Suggestion, ordered, suggest
from toolkit.plugins.catalogue import Catalogue
from toolkit.values.image import Image
from toolkit.values.instances import Instances

Seeds = st.integers(0, 2**32 - 1)


@given(Seeds)
def test_nobody_doubts_what_is_the_same_and_doubt_has_no_sides(seed: int) -> None:
    one = Instances.from_planes(planes(seed))
    other = Instances.from_planes(planes(seed + 1))
    assert doubt(one, one) == pytest.approx(0 if len(one) else NOTHING)
    assert not disputed(one, one).any()
    assert doubt(one, other) == pytest.approx(doubt(other, one))
    assert 0 <= doubt(one, other) <= 1
    assert np.array_equal(disputed(one, other), disputed(other, one))


def test_agreement_over_nothing_says_nothing() -> None:
    assert doubt(Instances.empty((9, 9)), Instances.empty((9, 9))) == NOTHING
    assert doubt(Instances.empty((9, 9)), Instances.from_labels(np.eye(9, dtype=np.int32))) == 1.0


def test_more_errors_are_more_doubt() -> None:
    truth = [labels(seed, (60, 60), 12) for seed in range(20)]
    worse = [disturbed(image, seed) for seed, image in enumerate(truth)]
    little = [np.where(image == image.max(), 0, image) for image in truth]
    pairs = [[doubt(Instances.from_labels(a), Instances.from_labels(b)) for a, b in zip(truth, other, strict=True)]
             for other in (little, worse)]  # fmt: skip
    assert 0 < np.mean(pairs[0]) < np.mean(pairs[1])


@given(Seeds, st.sampled_from([(6, 9), (9, 9), (3, 6, 8)]))
def test_what_was_found_in_a_turned_image_lies_where_it_is(seed: int, shape: tuple[int, ...]) -> None:
    image = labels(seed, shape, 4, 3.0)
    for turn in quarter_turns(len(shape)):
        there = turned(Image.from_array(image), turn)
        again = turned_back(Instances.from_labels(there.read()[0]), turn, shape)
        assert again == Instances.from_labels(image)
    assert len({(t.order, t.mirrored) for t in quarter_turns(len(shape))}) == 7


def test_regions_fill_the_image_and_the_most_disputed_comes_first() -> None:
    mask = np.zeros((600, 500), bool)
    mask[10:40, 10:40] = True
    mask[500:590, 300:400] = True
    (first, _), (second, _) = regions(mask)
    assert mask[500:590, 300:400].all()
    assert first.start <= (500, 300)
    assert first.stop >= (590, 400)
    assert second.start == (0, 0)
    assert regions(mask[:200, :200]) == []


def test_the_most_doubtful_is_first_and_no_two_of_a_kind_follow() -> None:
    def one(name: str, doubt: float, look: float) -> Suggestion:
        return Suggestion(name, doubt, 1, (), np.array([look, 0.0]))

    found = ordered([one("a", 0.9, 0), one("a2", 0.89, 0), one("b", 0.6, 5), one("c", 0.1, 10)])
    assert [s.image for s in found][:2] == ["a", "b"]
    assert {s.image for s in found} == {"a", "a2", "b", "c"}
    assert [s.image for s in ordered([one("x", 0.1, 0), one("y", 0.2, 0)])] == ["y", "x"]


def test_images_that_were_corrected_are_left_out_and_others_are_ranked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = result(tmp_path)
    shutil.copytree(tmp_path / "model", tmp_path / "other")
    recipe = tmp_path / "other" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("min_size: 1", "min_size: 40"))
    capsys.readouterr()
    assert main(["suggest", str(out), "--json", "--device", "cpu"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert {image["image"] for image in images} == {"a", "b", "c"}
    assert all(image["doubt"] == 0 for image in images)  # it sees voxel by voxel, so turns change nothing
    save(out, "a", without(found(out, "a")))
    correct(opened(out))
    assert main(["suggest", str(out), "--json", "--device", "cpu", "--model", str(tmp_path / "other")]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert {image["image"] for image in images} == {"b", "c"}
    assert all(image["doubt"] > 0 for image in images)
    assert main(["suggest", str(out), "-n", "1", "--device", "cpu"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    correct(opened(out), right=["b", "c"])
    assert main(["suggest", str(out)]) == 2
    assert "all images of this result are corrected" in capsys.readouterr().err


@pytest.mark.parametrize(("axes", "shape", "roi"), [("YX", (48, 56), "0:30,5:"), ("TYX", (2, 48, 56), "0:30,5:")])
def test_what_the_run_left_out_is_no_doubt(
    axes: str, shape: tuple[int, ...], roi: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.ones((48, 56), np.uint8)
    mask[:, 40:] = 0
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    out = result(tmp_path / "r", ("a",), shape, axes, ("--roi", roi, "--mask", str(tmp_path / "mask.tif")))
    (one,) = suggest(opened(out), Catalogue())
    assert one.objects > 0
    assert one.doubt == 0
    record = json.loads((out / "run.json").read_text())
    record["options"] |= {"roi": None, "mask": None, "min_score": 0.5}
    (out / "run.json").write_text(json.dumps(record))
    assert suggest(opened(out), Catalogue())[0].doubt > 0, "others are found outside"
    image, two = opened(out).images[0], Instances.from_labels(np.array([[1, 2]]), {1: 0.4, 2: 0.6})
    assert image.wanted(two, Image.from_array(np.zeros((1, 2)))) == two.select(np.array([False, True]))
