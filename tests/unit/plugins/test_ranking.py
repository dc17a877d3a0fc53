"""Methods are asked how well they suit, also those of strangers, and one that fails disturbs nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.battery.installed import install, install_bad, install_good
from toolkit.errors import InputError, ModelError, UsageError
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.ranking import rank
from toolkit.registry import resolve
from toolkit.registry.choose import choose, lent, load
from toolkit.steps.survey import Fit, Survey
from toolkit.values.image import Image
from toolkit.values.truth import Truth

SAYS = '''
"""A method that has an opinion."""
from pathlib import Path
from typing import Literal

from good_plugin import GoodPostProcessor
from toolkit.api import Fit, hookimpl

SEG_API = 2


class Says(GoodPostProcessor):
    kind: Literal["says"] = "says"

    def suits(self, survey):
        return {answer}


@hookimpl
def seg_postprocessors():
    return [Says]


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "says.yaml"]
'''


def says(site: Path, answer: str) -> None:
    """Install the plugins `good` and `says`, whose answer is this Python text."""
    install_good(site)
    install(site, "says", "says_plugin", SAYS.format(answer=answer))
    recipe = (site / "good.yaml").read_text().replace("name: good", "name: says")
    recipe = recipe.replace("network: {kind: good}", "network: {kind: unet}")
    (site / "says.yaml").write_text(recipe.replace("postprocess: {kind: good}", "postprocess: {kind: says}"))


def squares(*corners: tuple[int, int], layers: int = 1, side: int = 10) -> Survey:
    labels = np.zeros((layers, 80, 90), np.int32)
    for k, (y, x) in enumerate(corners):
        labels[k % layers, y : y + side, x : x + side] = k + 1
    return Survey.of([Truth.from_layers(labels)])


BLOBS = squares((5, 5), (30, 40), (60, 70))


def test_a_method_of_a_stranger_that_suits_best_is_first(site: Path) -> None:
    says(site, "Fit(0.99, f'{survey.objects} objects, as it likes them')")
    first = rank(BLOBS, Catalogue()).candidates[0]
    assert (first.name, first.fit) == ("says:says", Fit(0.99, "3 objects, as it likes them"))


@pytest.mark.parametrize("answer", ["None", "Fit(0, 'never')"])
def test_a_method_that_has_nothing_to_say_or_does_not_suit_is_left_out(site: Path, answer: str) -> None:
    says(site, answer)
    found = rank(BLOBS, Catalogue())
    assert "says:says" not in [one.name for one in found.candidates]
    assert not found.notes


@pytest.mark.parametrize(
    ("answer", "said"),
    [("1 / 0", "ZeroDivisionError"), ("'well'", "suits gives a Fit or None"), ("Fit(7, 'x')", "lies between 0 and 1")],
)
def test_a_method_that_fails_is_named_and_the_others_answer(site: Path, answer: str, said: str) -> None:
    says(site, answer)
    install_bad(site, "raises")
    found = rank(BLOBS, Catalogue())
    assert found.candidates[0].name == "embedseg:embedseg"
    assert any(note.startswith("says:says was left out") and said in note for note in found.notes)
    assert any("plugin bad is broken" in note for note in found.notes)


def test_one_recipe_stands_for_a_method_and_has_as_many_axes_as_the_images() -> None:
    for ndim in (2, 3):
        labels = np.zeros((1, *(20,) * ndim), np.int32)
        labels[0][(slice(4, 12),) * ndim] = 1
        found = rank(Survey.of([Truth.from_layers(labels)]), Catalogue()).candidates
        assert len({one.kinds for one in found}) == len(found)
        assert {one.recipe.ndim for one in found} == {ndim}
        names = {one.name for one in found}
        assert ("embedseg:embedseg" in names) == ("ppp:ppp" in names) == (ndim == 2)


def test_objects_that_overlap_leave_the_methods_behind_that_cannot_say_so() -> None:
    found = rank(squares((5, 5), (10, 10), layers=2), Catalogue()).candidates
    best = max(one.fit.score for one in found if not one.recipe.postprocess.overlaps)
    assert found[0].recipe.postprocess.overlaps
    assert best <= 0.2 < found[0].fit.score


def test_points_are_for_methods_that_detect() -> None:
    found = rank(squares((5, 5), (40, 40), side=1), Catalogue()).candidates
    assert found
    assert all(one.recipe.postprocess.detects for one in found)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_score_lies_between_0_and_1(score: float) -> None:
    if 0 <= score <= 1:
        assert Fit(score, "").score == score
    else:
        with pytest.raises(ValueError, match="between 0 and 1"):
            Fit(score, "")


def image(*shape: int) -> Image:
    voxels = np.full(shape, 20, np.uint8)
    voxels[..., 10:20, 10:20] = 240
    return Image.from_array(voxels, "CYX" if len(shape) == 3 else None, name="x")


def tissue() -> Image:
    voxels = np.full((3, 40, 40), 200, np.uint8)
    voxels[1] = 170
    return Image.from_array(voxels, "CYX", name="tissue")


def test_the_model_that_did_best_on_such_images_is_chosen_also_one_of_a_stranger(site: Path) -> None:
    assert choose(image(40, 40), Catalogue())[0].name == "embedseg:embedseg"
    install_good(site)
    plain = [one.name for one in choose(image(40, 40), Catalogue())]
    assert "good:good" not in plain, "nobody says how well it suits"
    (site / "good.md").write_text("---\ntitle: bright boxes\nmeasured:\n- {score: 0.97, on: 3 images}\n---\n# good\n")
    best = choose(image(40, 40), Catalogue())[0]
    assert (best.name, best.fit) == ("good:good", Fit(0.97, "bright boxes: S@0.50 0.97 on 3 images"))
    assert load(best, Catalogue()).name == "good"


def test_stained_tissue_gets_a_model_with_the_changes_that_it_was_tried_with() -> None:
    seen = Survey.of([tissue()])
    assert seen.stained
    assert not Survey.of([image(3, 40, 40)]).stained
    found = {one.name: one for one in rank(seen, Catalogue(), trained=True).candidates}
    assert found["cpv:cpv"].changes == ("postprocess.seed=0.35", "postprocess.min_size=34")
    assert found["cpv:cpv"].recipe.postprocess.model_dump()["seed"] == 0.35
    assert all("haematoxylin" in one.recipe.input.knows for one in found.values())
    assert found["embedseg:embedseg"].fit.score < choose(image(40, 40), Catalogue())[0].fit.score


@pytest.mark.parametrize(("channels", "suits"), [("auto", True), ("[0]", True), ("[0, 1]", False), ("grey", True)])
def test_a_recipe_that_sees_more_channels_than_there_are_does_not_suit(site: Path, channels: str, suits: bool) -> None:
    says(site, "Fit(0.9, 'any')")
    text = (site / "says.yaml").read_text()
    (site / "says.yaml").write_text(f"{text}input: {{channels: {channels}}}\n")
    found = rank(Survey.of([image(40, 40)]), Catalogue())
    assert ("says:says" in [one.name for one in found.candidates]) is suits


def volume(*voxel_size: float) -> Image:
    return Image.from_array(np.zeros((12, 40, 40), np.uint8), voxel_size=voxel_size or None, name="x")


def test_an_image_for_which_there_is_no_model_is_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"no installed model says that it suits this image: x \(3-D, 1 channel\)"):
        choose(volume(), Catalogue(), "cpv")


@pytest.mark.parametrize(("size", "anisotropy"), [((2.0, 0.5, 0.5), (4.0, 1.0, 1.0)), ((), ())])
def test_a_volume_gets_a_model_with_the_recipe_that_its_card_names_for_such(size, anisotropy) -> None:
    best = choose(volume(*size), Catalogue())[0]
    assert (best.name, best.named) == ("embedseg:embedseg", "embedseg-3d-sliced")
    model = load(best, Catalogue())
    assert model.recipe.ndim == 3
    assert model.recipe.postprocess.anisotropy == model.recipe.network.anisotropy == anisotropy


def test_a_model_that_was_named_gets_a_recipe_with_its_weights_for_another_number_of_axes() -> None:
    flat = resolve.load("embedseg", Catalogue())
    assert lent(flat, image(40, 40), Catalogue()) == (flat, "")
    made, how = lent(flat, volume(1.5, 0.5, 0.5), Catalogue())
    assert made.recipe.name == "embedseg-3d-sliced"
    assert made.recipe.postprocess.anisotropy == (3.0, 1.0, 1.0)
    assert "embedseg-3d-sliced runs this 2-D model" in how


def test_a_model_without_a_recipe_for_volumes_is_a_sentence() -> None:
    with pytest.raises(InputError, match="the model works on 2-D images and this one is 3-D: x"):
        lent(resolve.load("cpv", Catalogue()), volume(), Catalogue())


@pytest.mark.parametrize("text", ["licence: [", "score: 1", "measured: [{score: 2, on: x}]", "demo: *x"])
def test_a_card_that_cannot_be_read_is_a_sentence_for_who_runs_the_model_and_a_note_for_others(
    site: Path, text: str
) -> None:
    install_good(site)
    (site / "good.md").write_text(f"---\n{text}\n---\n")
    with pytest.raises(ModelError, match="this model card cannot be read"):
        Card.beside(site / "good.yaml")
    found = rank(Survey.of([image(40, 40)]), Catalogue(), trained=True)
    assert found.candidates
    assert any("good:good was left out: this model card" in note for note in found.notes)


@pytest.mark.parametrize("text", ["", "# good\n", "---\n", "a\n---\nlicence: x\n---\n"])
def test_a_card_may_say_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "good.md").write_text(text)
    assert Card.beside(tmp_path / "good.yaml") == Card() == Card.beside(tmp_path / "absent.yaml")
