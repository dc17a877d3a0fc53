"""The demo shows what methods say that they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.installed import install_good
from toolkit.cli import main
from toolkit.demo.choice import shown
from toolkit.errors import UsageError
from toolkit.plugins.catalogue import Catalogue


def test_without_a_plugin_it_is_the_model_that_suits_the_tissue_best(tmp_path: Path) -> None:
    one = shown(Catalogue(), None, tmp_path / "drawn.tif")
    assert one.image.name == "tissue.png"
    assert (one.model, one.changes) == ("embedseg:embedseg", ())
    assert not (tmp_path / "drawn.tif").exists()


def test_a_plugin_shows_what_its_card_says_or_else_what_suits_the_tissue(tmp_path: Path) -> None:
    one = shown(Catalogue(), "ppp", tmp_path / "drawn.tif")
    assert (one.model, one.image, one.changes) == ("ppp:ppp-filaments", tmp_path / "drawn.tif", ())
    assert tifffile.imread(one.image).shape == (512, 512)
    other = shown(Catalogue(), "cpv", tmp_path / "drawn.tif")
    assert (other.model, other.image.name) == ("cpv:cpv", "ihc.png")
    assert other.changes == ("postprocess.seed=0.35", "postprocess.min_size=34")


def test_a_stranger_brings_a_picture_beside_the_card(site: Path, tmp_path: Path) -> None:
    install_good(site)
    tifffile.imwrite(site / "own.tif", np.zeros((40, 40), np.uint8))
    (site / "good.md").write_text("---\ndemo: {picture: own.tif, set: [tiling.overlap=8]}\n---\n")
    one = shown(Catalogue(), "good", tmp_path / "drawn.tif")
    assert (one.model, one.image, one.changes) == ("good:good", site / "own.tif", ("tiling.overlap=8",))
    for name in ("absent.tif", "../site/own.tif", "/etc/hostname"):
        (site / "good.md").write_text(f"---\ndemo: {{picture: {name}}}\n---\n")
        with pytest.raises(UsageError, match="no such picture for a demo"):
            shown(Catalogue(), "good", tmp_path / "drawn.tif")


def test_a_method_without_a_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this method ships no trained model: builtin"):
        shown(Catalogue(), "builtin", tmp_path / "drawn.tif")


def test_seg_demo_makes_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capfd.readouterr()
    path = Path(said.out.split("look")[1].strip())
    assert path == tmp_path / "demo.seg" / "tissue.overlay.png"
    assert path.stat().st_size > 10_000
