"""PatchPerPix on the command line: bad input, and trainings of several steps."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file

from toolkit.testing import blobs, worms
from toolkit.testing import seg as main

SMALL = ("training.crop=[32,32]", "training.batch=1", "tiling.window=[32,32]", "tiling.overlap=8", "network.maps=2",
         "loss.patch=[5,5]", "postprocess.patch=[5,5]", "training.average=0")  # fmt: skip
UNET = (*SMALL, "network.upward_maps=4", "network.levels=2")
CODER = (*SMALL, "network.levels=2", "network.code=9", "network.coder_levels=1", "network.coder_maps=2")


class Said(NamedTuple):
    code: int
    error: str


@pytest.fixture
def seg(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command in an empty folder; its exit code and its one line of error."""
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Said:
        capfd.readouterr()
        code = main([str(word) for word in words])
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == (code != 0)
        return Said(code, lines[0] if lines else "")

    return run


def changes(fields: tuple[str, ...]) -> list[str]:
    return [word for field in fields for word in ("--set", field)]


def train(data: Path, out: object, recipe: str, fields: tuple[str, ...], *more: object) -> list[object]:
    return ["train", "--plugin", "ppp", "--recipe", recipe, "--data", data, "-o", out, "--steps", 2, "--threads", 1,
            "--device", "cpu", *changes(fields), *more]  # fmt: skip


def write(folder: Path, masks: dict[str, np.ndarray], images: dict[str, np.ndarray], axes: str = "YX") -> Path:
    """A data set whose image `v` is for validation."""
    for part, arrays in (("images", images), ("masks", masks)):
        (folder / part).mkdir(parents=True)
        for name, array in arrays.items():
            tifffile.imwrite(folder / part / f"{name}.tif", array, photometric="minisblack")
    names = {"train": sorted(images.keys() - {"v"}), "val": ["v"]}
    (folder / "splits.json").write_text(json.dumps(names))
    (folder / "meta.json").write_text(json.dumps({"axes": "YX", "masks": axes, "licence": "CC0-1.0"}))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenes = {name: blobs((40, 44), radius=(4, 7), seed=k) for k, name in enumerate("abv")}
    return write(
        tmp_path_factory.mktemp("data") / "nuclei",
        {name: scene.truth.layers[0].astype(np.uint8) for name, scene in scenes.items()},
        {name: scene.image.read()[0] for name, scene in scenes.items()},
    )


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("model") / "run"
    assert main([str(word) for word in train(data, run, "ppp", UNET)]) == 0
    return run


def segment(image: Path, model: Path, out: Path, *more: object) -> list[object]:
    return ["run", image, "--model", model, "-o", out, "--device", "cpu", "--workers", 1, "--no-preview", *more]


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("postprocess.patch=[4,5]", "patch 4×5 must be odd along every axis"),
        ("postprocess.patch=[65,5]", "less than or equal to 63"),
        ("postprocess.patch=[5]", "must have two axes, YX, or three, ZYX"),
        ("loss.patch=[5,8]", "patch 5×8 must be odd along every axis"),
        ("loss.patch=[5,65]", "less than or equal to 63"),
        ("loss.patch=[3,5,5]", "3 axes and the images have 2"),
        ("postprocess.threshold=1.0", "less than 1"),
        ("postprocess.threshold=0", "greater than 0"),
        ("postprocess.threshold=0.4", "foreground and background at once"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_a_sentence(
    seg: Callable[..., Said], field: str, sentence: str
) -> None:
    said = seg("show", "ppp:ppp", "--set", field)
    assert said.code == 2
    assert sentence in said.error


def test_background_below_the_threshold_allows_any_threshold(seg: Callable[..., Said]) -> None:
    both = ("postprocess.threshold=0.4", "postprocess.background=below_threshold")
    assert seg("show", "ppp:ppp", *changes(both)).code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("postprocess.patch=[7,5]", "the head patches has 5×5, not 7×5 = 35 channels"),
        ("postprocess.patch=[3,5,5]", "has 3 axes and the image 2"),
        ("loss.patch=[7,7]", "network and heads are fixed by the model"),
    ],
)
def test_patches_that_the_model_does_not_have_are_refused(
    seg: Callable[..., Said], data: Path, model: Path, tmp_path: Path, field: str, sentence: str
) -> None:
    said = seg(*segment(data / "images" / "v.tif", model, tmp_path / "out", "--set", field))
    assert said.code == 2
    assert sentence in said.error
    assert not (tmp_path / "out").exists()


def test_masks_without_foreground_can_be_learnt_and_give_no_objects(
    seg: Callable[..., Said], data: Path, tmp_path: Path
) -> None:
    image = tifffile.imread(data / "images" / "v.tif")
    empty = write(tmp_path / "empty", {name: np.zeros_like(image) for name in "av"}, dict.fromkeys("av", image))
    for number, fields in enumerate([UNET, (*UNET, "loss.where=everywhere", "loss.pixels=null")]):
        assert seg(*train(empty, f"run{number}", "ppp", fields)).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 40), (4, 3), (1, 1)])
def test_an_image_smaller_than_a_patch_is_an_image(
    seg: Callable[..., Said], data: Path, model: Path, tmp_path: Path, shape: tuple[int, int]
) -> None:
    image = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)
    tifffile.imwrite(tmp_path / "small.tif", image)
    assert seg(*segment(tmp_path / "small.tif", model, tmp_path / "out", "--axes", "YX")).code == 0
    assert tifffile.imread(tmp_path / "out" / "small.labels.tif").shape[-2:] == shape
    masks = {name: (image > image.mean()).astype(np.uint8) for name in "av"}
    tiny = write(tmp_path / "tiny", masks, dict.fromkeys("av", image))
    assert seg(*train(tiny, "run", "ppp", UNET)).code == 0


@pytest.mark.slow
def test_planes_of_overlapping_objects_must_have_one_shape(
    seg: Callable[..., Said], data: Path, tmp_path: Path
) -> None:
    scene = worms((40, 44), seed=1)
    image = scene.image.read()[0]
    planes = np.stack([scene.truth.layers[0] == 1, scene.truth.layers[0] == 2]).astype(np.uint8)
    whole = write(tmp_path / "whole", dict.fromkeys("av", planes), dict.fromkeys("av", image), "QYX")
    fields = (*UNET, "loss.foreground=numinst")
    assert seg(*train(whole, "run", "ppp", fields)).code == 0
    other = write(tmp_path / "other", dict.fromkeys("av", planes[:, :-4]), dict.fromkeys("av", image), "QYX")
    said = seg(*train(other, "run2", "ppp", fields))
    assert said.code == 5
    assert "shape" in said.error
    with tifffile.TiffWriter(whole / "masks" / "a.tif") as file:
        for plane in (planes[0], planes[1][:-4]):
            file.write(plane, photometric="minisblack", contiguous=False)
    said = seg(*train(whole, "run3", "ppp", fields))
    assert said.code == 5
    assert "the labels are 2 images of different shapes" in said.error


def test_the_score_that_a_training_says_is_obtained(
    data: Path, model: Path, obtained: Callable[[Path, Path], tuple[float, float]]
) -> None:
    said, found = obtained(model, data)
    assert said == found


def test_blocks_give_the_same_objects(seg: Callable[..., Said], data: Path, model: Path, tmp_path: Path) -> None:
    found = []
    for block in ((), ("--block", 16)):
        out = tmp_path / f"out{len(block)}"
        fields = changes(("postprocess.foreground=0.3", "postprocess.min_size=2"))
        assert seg(*segment(data / "images" / "v.tif", model, out, *block, *fields)).code == 0
        found.append(tifffile.imread(out / "v.labels.tif"))
    assert np.array_equal(*found)


@pytest.mark.slow
def test_an_autoencoder_is_trained_before_its_codes(seg: Callable[..., Said], data: Path, tmp_path: Path) -> None:
    fields = (*CODER, "loss.foreground=foreground", "loss.pixels=64")
    assert seg(*train(data, "first", "ppp-ae-codes-paper", fields)).code == 0
    before, last = (load_file(tmp_path / "first" / f"{n}.safetensors") for n in ("best", "last"))
    assert all(np.allclose(value, last[f"last.network.{name}"]) for name, value in before.items())

    assert seg(*train(data, "second", "ppp-ae-paper", fields, "--model", "first")).code == 0
    after = load_file(tmp_path / "second" / "best.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert any(name.startswith("features") for name in changed)
    assert not [name for name in changed if "encoder" in name or "decoder" in name]
    assert "closing" in json.loads((tmp_path / "second" / "training.json").read_text())
    assert "closing" not in json.loads((tmp_path / "first" / "training.json").read_text())  # its heads mean nothing yet
    assert seg(*segment(data / "images" / "v.tif", Path("second"), tmp_path / "out")).code == 0

    said = seg(*train(data, "third", "ppp-ae-paper", (*fields, "network.code=18"), "--model", "first"))
    assert said.code == 2
    assert "the network of the model, without its heads, is not that of the recipe" in said.error
    assert "code: 9" in said.error


def test_a_network_without_an_autoencoder_is_refused(seg: Callable[..., Said], data: Path) -> None:
    fields = (*CODER, "loss.foreground=foreground", "network.autoencoder=false")
    said = seg(*train(data, "run", "ppp-ae-codes-paper", fields))
    assert said.code == 2
    assert "autoencoder" in said.error


def test_a_code_that_does_not_fit_is_refused(seg: Callable[..., Said], data: Path) -> None:
    said = seg(*train(data, "run", "ppp-dec-paper", (*CODER, "loss.foreground=foreground", "network.code=10")))
    assert said.code == 2
    assert "multiple of its 3×3 places" in said.error


@pytest.mark.slow
def test_any_network_can_learn_vectors_beside_patches(seg: Callable[..., Said], data: Path, tmp_path: Path) -> None:
    for recipe, fields in (("ppp", UNET), ("ppp-dec-paper", (*CODER, "loss.foreground=foreground"))):
        assert seg(*train(data, recipe, recipe, (*fields, "auxiliary=cpv"))).code == 0
        assert "auxiliary.cpv" in (tmp_path / recipe / "log.csv").read_text().partition("\n")[0]


# The format's own library leaves the files that it packs open until they are collected.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ppp-dec-paper", "ppp-ed-paper"])
def test_a_model_that_decodes_only_foreground_can_be_given_on(
    seg: Callable[..., Said], data: Path, tmp_path: Path, recipe: str
) -> None:
    fields = CODER if recipe == "ppp-dec-paper" else (*SMALL, "network.levels=2", "network.window_maps=2",
                                                      "network.poolings=1")  # fmt: skip
    assert seg(*train(data, "run", recipe, (*fields, "loss.foreground=foreground"))).code == 0
    shutil.copy(data / "images" / "a.tif", "example.tif")
    assert seg("export", "run", "-o", "model.zip", "--name", "Patches", "--author", "A. Author", "--licence", "CC0-1.0",
               "--force", "--cite", "10.1007/978-3-030-58595-2_18", "--image", "example.tif").code == 0  # fmt: skip
    found = []
    for model in ("run", "model.zip"):
        assert seg(*segment(data / "images" / "v.tif", Path(model), tmp_path / f"{model}.out")).code == 0
        found.append(tifffile.imread(tmp_path / f"{model}.out" / "v.labels.tif"))
    assert np.array_equal(*found)
