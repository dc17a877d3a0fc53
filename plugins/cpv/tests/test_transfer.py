"""A training that starts with the network of another method's model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file

from toolkit.testing import blobs
from toolkit.testing import seg as main

SMALL = ("training.crop=[64,64]", "tiling.window=[64,64]", "tiling.overlap=16", "training.batch=1")
NETWORK = "network={kind: plain_unet, maps: 6, levels: 2}"
STILL = ("training.learning_rate=1e-12", "training.schedule=constant", "training.warmup=0")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate("ab"):
        scene = blobs((72, 80), count=5, seed=seed)
        tifffile.imwrite(folder / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", scene.truth.layers[0].astype(np.uint16))
    (folder / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b"]}))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def begin(data: Path, out: str, recipe: str, network: str = NETWORK, *more: str) -> int:
    changes = [word for change in (*SMALL, network, *STILL) for word in ("--set", change)]
    run = str(data.parent / out)
    words = ["train", "--recipe", recipe, "--data", str(data), "-o", run, "--threads", "1", "--steps", "1"]
    return main([*words, *changes, *more])


@pytest.mark.slow
def test_another_method_starts_with_the_network_and_new_heads(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the new heads have as many channels as the old ones: `sdt` and `gauss` have one."""
    first = ("--model", str(data.parent / "first"))
    assert begin(data, "first", "sdt") == 0
    assert "start " not in capsys.readouterr().err
    assert begin(data, "second", "gauss", NETWORK, *first, "--set", "training.seed=1") == 0
    assert "start  with the network of" in (said := capsys.readouterr().err)
    assert "new heads: gauss" in said
    before, after = (load_file(data.parent / run / "best.safetensors") for run in ("first", "second"))
    assert {name: value.shape for name, value in before.items()} == {n: v.shape for n, v in after.items()}
    weights = [name for name in before if name.endswith("weight")]
    lent = [name for name in weights if np.allclose(before[name], after[name], atol=1e-6)]
    assert [name for name in weights if name not in lent] == ["out.weight"]
    record = json.loads((data.parent / "second" / "training.json").read_text())
    assert record["start"] == {"model": first[1], "sha256": sha256(data.parent / "first" / "best.safetensors")}

    for again in (first, ()):
        assert begin(data, "second", "gauss", NETWORK, *again, "--set", "training.seed=1", "--resume") == 0
        assert "start " not in capsys.readouterr().err
        assert json.loads((data.parent / "second" / "training.json").read_text())["start"] == record["start"]
    assert begin(data, "second", "gauss", NETWORK, "--model", str(data.parent / "second"), "--resume") == 2
    assert "this run was begun from another model" in capsys.readouterr().err


@pytest.mark.slow
def test_a_start_is_not_forgotten_before_the_first_checkpoint(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ("--model", str(data.parent / "first"))
    assert begin(data, "first", "sdt") == 0
    assert begin(data, "second", "sdt", NETWORK, *first) == 0
    assert f"start  with all weights of {first[1]}" in capsys.readouterr().err
    expected = load_file(data.parent / "second" / "best.safetensors")
    for path in (data.parent / "second").glob("*.safetensors"):
        path.unlink()  # as if it had been killed in its first steps
    assert begin(data, "second", "sdt", NETWORK, "--resume") == 2
    assert f"this run was begun from another model: {data.parent / 'second'}; resume with {' '.join(first)}" in (
        capsys.readouterr().err
    )
    assert begin(data, "second", "sdt", NETWORK, "--resume", *first) == 0
    after = load_file(data.parent / "second" / "best.safetensors")
    assert all(np.array_equal(value, after[name]) for name, value in expected.items())


@pytest.mark.slow
def test_another_kind_of_the_same_network_and_heads_lends_everything(data: Path) -> None:
    assert begin(data, "first", "sdt") == 0
    other = "network={kind: cpv_unet, maps: 6, growth: 2, levels: 2, norm: batch}"
    assert begin(data, "second", "sdt", other, "--model", str(data.parent / "first")) == 0
    before, after = (load_file(data.parent / run / "best.safetensors") for run in ("first", "second"))
    assert all(np.allclose(before[n], after[n], atol=1e-6) for n in before if n.endswith("weight"))


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        (
            "network={kind: plain_unet, maps: 7, levels: 2}",
            "try --set 'network={kind: plain_unet, maps: 6, levels: 2}'",
        ),
        ("network={kind: plain_unet, maps: 6, levels: 2, convolutions: 1}", "try --set"),
    ],
)
def test_a_network_with_other_layers_is_refused(
    other: str, advice: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(data, "first", "sdt") == 0
    for recipe in ("gauss", "sdt"):
        assert begin(data, "second", recipe, other, "--model", str(data.parent / "first")) == 2
        said = capsys.readouterr().err
        assert "the network of the model, without its heads, is not that of the recipe" in said
        assert advice in said
        assert not (data.parent / "second").exists()


def test_other_channels_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(data, "first", "sdt") == 0
    two = ("--model", str(data.parent / "first"), "--set", "input.channels=[0,0]")
    assert begin(data, "second", "gauss", NETWORK, *two) == 2
    assert "the model takes 1 channel" in capsys.readouterr().err
