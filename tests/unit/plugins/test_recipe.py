"""Recipes: reading, changing, refusing, writing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from toolkit.errors import InputError, ToolkitError, UsageError
from toolkit.files import plain_yaml
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe, changed

CATALOGUE = Catalogue(allow=[])


def unet(*changes: str) -> Recipe:
    return Recipe.load(CATALOGUE.find("recipes", "unet"), CATALOGUE, changes=changes)


def test_a_recipe_survives_being_written_and_read() -> None:
    recipe = unet("postprocess.depth=2", "network.strides=[2, [1, 2], 2]")
    again = Recipe.parse(yaml.safe_load(recipe.dump()), CATALOGUE)
    assert again == recipe
    assert again.dump() == recipe.dump()


def test_a_section_is_written_with_the_fields_of_its_own_class() -> None:
    plain = unet().plain()
    assert plain["schema"] == "toolkit.recipe/1"
    assert plain["postprocess"]["depth"] == 0.75
    assert plain["network"]["maps"] == [16, 32, 64, 128]


def test_set_changes_one_field_and_nothing_else() -> None:
    before, after = unet().plain(), unet("postprocess.depth=2").plain()
    assert after["postprocess"].pop("depth") == 2
    assert before["postprocess"].pop("depth") == 0.75
    assert before == after


def test_a_kind_resets_its_section_to_the_defaults_of_that_kind() -> None:
    recipe = unet("postprocess.min_size=99", "postprocess.kind=threshold")
    assert recipe.postprocess.kind == "threshold"
    assert recipe.plain()["postprocess"]["min_size"] == 16


def test_a_bare_name_is_short_for_the_kind_also_where_there_is_none_yet() -> None:
    assert unet("postprocess=threshold") == unet("postprocess.kind=threshold")
    other = changed({"auxiliary": None}, ["auxiliary=bce_dice", "auxiliary.boundary=true"])
    assert other == {"auxiliary": {"kind": "bce_dice", "boundary": True}}


def test_changes_apply_in_their_order() -> None:
    recipe = unet("postprocess=threshold", "postprocess.min_size=3")
    assert recipe.plain()["postprocess"]["min_size"] == 3


def test_a_kind_may_name_its_plugin() -> None:
    assert unet("network=builtin:unet").network.kind == "unet"


def test_a_whole_section_can_be_set_or_emptied() -> None:
    assert unet("input={channels: grey}").input.channels == "grey"
    assert unet("auxiliary=null").auxiliary is None


def test_changing_a_recipe_does_not_touch_it() -> None:
    recipe = unet()
    before = recipe.dump()
    assert recipe.changed(["postprocess.depth=3"], CATALOGUE).dump() != before
    assert recipe.dump() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("postprocess.dept=1", "no such key: postprocess.dept; did you mean 'depth'?"),
        ("trainning.steps=1", "no such key: trainning; did you mean 'training'?"),
        ("tiling.windw=[1, 1]", "no such key: tiling.windw; did you mean 'window'?"),
        ("network=unit", "no such network: unit; did you mean 'unet'?"),
        ("postprocess.foreground=1.5", "postprocess.foreground: input should be less than 1"),
        ("training.steps=0", "training.steps: input should be greater than or equal to 1"),
        ("training.crop=[a,b]", "training.crop.0: input should be a whole number"),
        ("tiling.window=wide", "tiling.window: input should be a list, such as [1, 2]"),
        ("input.channels=blue", "input.channels: input should be a list, such as [1, 2], or 'auto', 'all', 'grey'"),
        ("input.channels=[-1]", "input.channels.0: input should be greater than or equal to 0, or text, or 'auto'"),
        ("tiling.overlap=256", "tiling: overlap must be smaller than window on every axis"),
        ("tiling.window=[100, 100]", "tiling.window [100, 100] must be a multiple of the network's stride [8, 8]"),
        ("training.crop=[8, 8, 8]", "training.crop has 3 axes and tiling.window has 2"),
        (
            "auxiliary={kind: packaged, outputs: [{name: foreground, channels: 2}]}",
            "loss and auxiliary have two heads of one name, foreground, that are not the same",
        ),
        ("auxiliary=[bce_dice, bce]", "no such loss: bce"),
        ("auxiliary=[bce_dice, {dice: 2}]", "a kind is missing: auxiliary.1.kind"),
        ("training.weights=[1, 2]", "training.weights needs 1 numbers, one per loss"),
        ("loss=null", "a network that learns needs a loss"),
        ("network=image", "network image learns nothing: set loss and auxiliary to null"),
        ("postprocess.a.b=1", "not a change of the form section.field=value: --set postprocess.a.b=1"),
        ("postprocess", "not a change of the form section.field=value: --set postprocess"),
        ("postprocess.depth=" + "[" * 5000, "the value is not valid YAML: --set postprocess.depth=[["),
        ("postprocess.depth=!!int x", "the value is not valid YAML: --set postprocess.depth=!!int x"),
        ("postprocess.depth=!!bool x", "the value is not valid YAML"),
        ("postprocess.depth=\udcff", "the value is not valid YAML"),
        ("postprocess.depth=[1", "the value is not valid YAML: --set postprocess.depth=[1"),
        ("network.strides=[[1, 2, 2], 2, 2]", "network: strides has a step for 3 axes, the image has 2"),
        ("network={maps: [8, 8]}", "a kind is missing: network.kind"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(change: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        unet(change)
    assert message in str(caught.value)


def test_heads_that_the_post_processor_does_not_read_are_refused_with_its_place() -> None:
    recipe = unet("postprocess=mutex_watershed")
    with pytest.raises(UsageError, match=r"^postprocess: post-processor mutex_watershed needs a head affinities"):
        recipe.expects(recipe.heads)
    unet().expects(unet().heads)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "this recipe is not a mapping"),
        ("a: [", "this recipe is not valid YAML"),
        ("[" * 20_000, "this recipe is not valid YAML"),
        ("network: &a {kind: unet, maps: *a}", "this recipe is not valid YAML"),
        ("name: !!float x", "this recipe is not valid YAML"),
        ("name: x\nname: y\n", "a key occurs twice"),
        ("name: x\nnetwork: {kind: unet, 1: 2}", "network.1"),
        ("name: x\n", "network: field required"),
        ("schema: toolkit.recipe/2\nname: x\n", "schema: input should be 'toolkit.recipe/1'"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(ToolkitError) as caught:
        Recipe.load(path, CATALOGUE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such recipe file"):
        Recipe.load(tmp_path / "none.yaml", CATALOGUE)


def test_a_sum_of_losses_reads_a_common_head_once_and_survives_being_written() -> None:
    recipe = unet("auxiliary=[bce_dice, {kind: bce_dice, dice: 0}]", "training.weights=[1, 0.5, 2]")
    assert [head.name for head in recipe.heads] == ["foreground", "boundary"]
    assert [place for place, _ in recipe.taught] == ["loss", "auxiliary.0", "auxiliary.1"]
    assert recipe.losses[2].dice == 0
    again = Recipe.parse(plain_yaml.load(recipe.dump().encode()), CATALOGUE)
    assert again == recipe


def test_a_method_without_a_network_has_the_image_as_its_head() -> None:
    recipe = Recipe.parse({"name": "x", "network": {"kind": "image"}, "postprocess": {"kind": "threshold"}}, CATALOGUE)
    assert [(head.name, head.transform) for head in recipe.heads] == [("image", "none")]
    assert recipe.losses == ()
    with pytest.raises(UsageError, match="this method learns nothing: x"):
        recipe.main  # noqa: B018  (the look is the test)
    with pytest.raises(UsageError, match="does not say how it turns"):
        recipe.changed(["tiling.augment=turns"], CATALOGUE)


def test_a_kind_is_found_by_its_former_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.builtin.postprocessors.watershed import Watershed

    monkeypatch.setattr(Watershed, "aliases", ("flood",))
    recipe = unet("postprocess=flood")
    assert recipe.postprocess.kind == "watershed"
    assert "flood" not in list(CATALOGUE.use("builtin").items["postprocessors"])
