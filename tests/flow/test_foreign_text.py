"""Names, licences and notes of others wherever they are shown: in a terminal, a page, a spreadsheet, a document."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests import packages
from tests.models import see_through
from toolkit.cli import main
from toolkit.files.plain_text import shown

ESCAPE = "\x1b]52;c;cm0gLXJm\x07\x1b[31m\u202e"
Seg = Callable[..., tuple[int, str]]


@pytest.fixture
def seg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Seg:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        """Exit code and all that was said, which holds nothing that a terminal would obey."""
        code = main(arguments)
        out, err = capsys.readouterr()
        assert not {
            letter for letter in out + err if (ord(letter) < 32 and letter != "\n") or letter in "\x7f\x9b\u202e"
        }
        assert "Traceback" not in err
        assert sum(line.startswith("error: ") for line in err.splitlines()) == (code != 0)
        return code, out

    return run


TEXTS = ("MIT [/b]", "[link=file:///etc/passwd]click[/link]", "[bold red]CC0-1.0[/]", ESCAPE, "MIT\nerror: m@1")


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_models_stay_texts(seg: Seg, tmp_path: Path, text: str) -> None:
    made = packages.good(license=text, name=text, description=text, version=text)
    packages.zipped(tmp_path / "m.zip", made)
    assert seg("models", "add", "m.zip", "--name", "m", "--version", "1", "--note", text)[0] == 0
    for verb in ("list", "show m", "test m"):
        assert seg("models", *verb.split())[0] == 0
        code, out = seg("models", *verb.split(), "--json")
        assert code == 0
        json.loads(out)
    assert shown(text) in seg("models", "show", "m")[1]
    assert json.loads(seg("models", "show", "m", "--json")[1])["licence"] == text


NAMES = ("../../x", "", "a/b", "-x", "a" * 10000, "a\x1b[31m", ".", "..", "a\u202eb", "a b", "a@b", "a:b")


@pytest.mark.parametrize("option", ["--name", "--version", "--alias"])
def test_names_that_are_none_are_refused_and_nothing_is_written(seg: Seg, tmp_path: Path, option: str) -> None:
    packages.zipped(tmp_path / "m.zip", packages.good())
    before = {p.name for p in tmp_path.iterdir()}
    for name in NAMES:
        assert seg("models", "add", "m.zip", f"{option}={name}")[0] == 2, name
    assert {p.name for p in tmp_path.iterdir()} - {"home"} == before
    assert json.loads(seg("models", "list", "--json")[1])["installed"] == []


FILES = ("<img src=x onerror=alert(1)>", '"><script>alert(2)<', '=HYPERLINK("http:x","y")', "@SUM(1)",
         "+1+cmd|' C calc'!A0", "-2+3", f"a{ESCAPE}", "javascript:alert(3)", "&lt;b&gt;", "[b]", "a\nb",
         "{0.__class__}", "%s%n", "\uff1d1+1", "' or 1=1 --", "$(touch x)", "`touch x`")  # fmt: skip


def labels() -> np.ndarray:
    made = np.zeros((32, 32), np.uint16)
    made[3:9, 3:9], made[15:25, 10:20] = 1, 2
    return made


def test_names_of_files_are_neither_markup_nor_formulas(seg: Seg, tmp_path: Path) -> None:
    for folder in ("pred", "truth"):
        (tmp_path / folder).mkdir()
        for name in FILES:
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", labels())
    arguments = ("--metric", "S", "--html", "r.html", "--csv", "csv", "--samples", "0")
    assert seg("evaluate", "pred", "truth", *arguments)[0] == 0
    page = (tmp_path / "r.html").read_text(encoding="utf8")
    assert not any(
        word in page for word in ("<script>alert", "<img src=x", '"><script', "\x1b", "\u202e", 'href="java')
    )
    for table in ("images.csv", "objects.csv"):
        with (tmp_path / "csv" / table).open(encoding="utf8", newline="") as stream:
            cells = [row[0] for row in csv.reader(stream)]
        assert len(set(cells)) == len(FILES) + 1
        assert not [text for text in cells if text.lstrip()[:1] in set("=+-@\uff1d") or "\x1b" in text]


@pytest.mark.slow
def test_images_of_any_name_are_segmented(seg: Seg, tmp_path: Path) -> None:
    model = see_through(tmp_path / "model")
    (tmp_path / "in").mkdir()
    for name in FILES:
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", (labels() > 0).astype(np.uint8) * 200)
    assert seg("run", "in", "--model", str(model), "-o", "out", "--workers", "1")[0] == 0
    assert {p.name for p in tmp_path.iterdir()} - {"home"} == {"in", "out", "model"}
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf8"))
    assert {Path(image["input"]).stem for image in record["images"]} == set(FILES)
    assert all((tmp_path / "out" / file).exists() for image in record["images"] for file in image["files"])
    for table in (tmp_path / "out").glob("*.csv"):
        with table.open(encoding="utf8", newline="") as stream:
            assert not [text for row in csv.reader(stream) for text in row if text[:1] in set("=+@")]
    tifffile.imwrite(tmp_path / "in" / f"{'a' * 240}.tif", labels())
    assert seg("run", "in", "--model", str(model), "-o", "long", "--workers", "1")[0] == 5  # it alone is not done
    assert len(list((tmp_path / "long").glob("*.labels.tif"))) == len(FILES)
    assert seg("run", "--from", "out/run.json", "-o", "again", "--workers", "1")[0] == 0


@pytest.mark.slow
def test_results_of_any_name_are_looked_at_corrected_and_given_to_other_programs(seg: Seg, tmp_path: Path) -> None:
    see_through(tmp_path / "model")
    (tmp_path / "in").mkdir()
    for name in FILES:
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", (labels() > 0).astype(np.uint8) * 200)
    run = ("run", "in", "--model", "model", "-o", "out", "--workers", "1", "--no-preview", "--show", "heads")
    assert seg(*run, "--also", "geojson,rois,imagej")[0] == 0
    (tmp_path / "out.corrections").mkdir()
    for name in FILES:
        json.loads((tmp_path / "out" / f"{name}.geojson").read_text("utf8"))
        assert len(zipfile.ZipFile(tmp_path / "out" / f"{name}.rois.zip").namelist()) == 2
        edited = np.where(labels() == 1, 0, labels())
        tifffile.imwrite(tmp_path / "out.corrections" / f"{name}.tif", edited)
        assert seg("view", "out", "--image", name, "-o", "page.html")[0] == 0
        page = (tmp_path / "page.html").read_text("utf8")
        told = page.partition('id="scene">')[2].partition("</script>")[0]
        texts = page + str(json.loads(told)["name"])
        assert not any(word in page for word in ("<script>alert", "<img src=x"))
        assert not {"\x1b", "\x07", "\u202e"} & set(texts)
    assert seg("suggest", "out", "--turns", "1", "--device", "cpu")[0] == 0
    assert seg("correct", "out", "--by", ESCAPE)[0] == 0
    assert seg("correct", "out", "--right", f"{FILES[0]}:2", f"--by={ESCAPE}")[0] == 0
    assert seg("correct", "out", "--undo")[0] == 0
    assert {p.name for p in tmp_path.iterdir()} - {"home"} == {"in", "out", "model", "out.corrections", "page.html"}
