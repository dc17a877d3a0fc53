"""The documents say what is true."""

import ast
import inspect
import re
import subprocess
import sys
import tempfile
from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

import toolkit
from toolkit.cli import VERBS, app
from toolkit.io import zarrinstances
from toolkit.plugins import hookspecs
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.running.one import Done
from toolkit.running.record import record
from toolkit.steps.measure import measure
from toolkit.testing.scenes import blobs
from toolkit.values.image import Image

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf8"), re.DOTALL)


def test_hooks_are_documented_with_their_signatures() -> None:
    listed = re.findall(r"^- `(seg_\w+.*?)`$", (DOCS / "hooks.md").read_text(encoding="utf8"), re.MULTILINE)
    real = [f"{n}{inspect.signature(f)}".replace("'", "") for n, f in vars(hookspecs).items() if n.startswith("seg_")]
    assert listed == real


SHORTEST = """
from typing import Annotated

from toolkit.api import Search, metric, postprocessor
from toolkit.testing import PostProcessorTests
from toolkit.testing.ideal import drawn

{}

class TestShortest(PostProcessorTests):
    spec = bright()

    def heads(self, scene):
        return {{"foreground": drawn(scene)["foreground"]}}
"""


def test_the_methods_in_the_documents_pass_the_conformance_suite(tmp_path: Path) -> None:
    method, tests = blocks(DOCS / "hooks.md", "python")
    assert len(method.splitlines()) < 60
    (tmp_path / "test_bright.py").write_text(method + "\n" + tests)
    (tmp_path / "test_shortest.py").write_text(SHORTEST.format(blocks(DOCS / "hooks.md", "text")[0]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_recipes_in_the_documents_are_valid(page: Path) -> None:
    for text in blocks(page, "yaml"):
        data = yaml.safe_load(text)
        if "schema" in data:
            assert Recipe.parse(data, Catalogue(), "embedseg").name == data["name"]


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))], ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf8")):
        assert (page.parent / target).exists(), target


@pytest.mark.slow
@pytest.mark.parametrize("page", [DOCS / "reliability.md", ROOT / "README.md"], ids=lambda p: p.name)
def test_each_promise_names_tests_that_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf8")
    named = re.findall(r"`((?:tests|plugins|benchmarks)/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 5
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf8"))
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or (name in tests and name.startswith("test_")), f"{file}::{name}"
    promises = re.findall(r"^\| (?!promise|-)(.*?) \| (.*) \|$", text.partition("| promise |")[2], re.MULTILINE)
    if page.name == "reliability.md":
        assert len(promises) > 12
        assert all(re.search(r"`tests/[\w/]+\.py::test_\w+`", tests) for _, tests in promises)


@pytest.mark.slow
def test_the_page_of_the_command_line_is_what_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "make.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_the_changelog_is_kept_in_its_form_with_the_latest_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        titles = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert titles == [title for title in SECTIONS if title in titles]
        for section in re.split(r"^### ", version, flags=re.MULTILINE)[1:]:
            days = [re.match(r"(\d{4}-\d\d-\d\d): ", line) for line in re.findall(r"^- (.*)$", section, re.MULTILINE)]
            dated = [day[1] for day in days if day]
            assert len(dated) == len(days), "an entry without its date"
            assert dated == sorted(dated, reverse=True), "the latest comes first"


def test_decisions_are_numbered_once_each_and_say_their_number() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers[:11] == list(range(1, 12))
    assert len(set(numbers)) == len(numbers)
    for number, page in zip(numbers, pages, strict=True):
        assert page.read_text(encoding="utf8").startswith(f"# {number}. ")


def test_whatever_page_is_named_is_in_the_repository() -> None:
    parts = ("benchmarks", "docs", "evaluation", "plugins", "tests", "toolkit")
    files = [*ROOT.glob("*.*"), *(path for part in parts for path in (ROOT / part).rglob("*.*"))]
    for path in files:
        # `site.py` names the pages that it makes.
        if path.suffix in (".py", ".md", ".toml") and path not in (Path(__file__), DOCS / "site.py"):
            text = path.read_text(encoding="utf8")
            assert not re.search(r"\b[A-Z]{4,} §", text), f"{path}: a page by its title alone"
            # Tests also write pages of their own.
            for name in () if "tests" in path.parts else re.findall(r"(?<![\w*{}/.])((?:[\w-]+/)*[\w-]+\.md)\b", text):
                places = (ROOT, DOCS, path.parent)
                assert Path(name).name == "NAME.md" or any((place / name).is_file() for place in places), (
                    f"{path}: {name}"
                )


def written_by_hand() -> str:
    pages = [ROOT / "README.md", *(p for p in DOCS.glob("*.md") if p.name != "command-line.md")]
    return "\n".join(page.read_text("utf8") for page in pages)


def commands() -> dict[str, list[str]]:
    """The options of each command, as the program has them."""
    root = typer.main.get_command(app)
    found = {"": [name for option in root.params for name in option.opts]}
    for verb in VERBS:
        command: Any = root
        for word in verb.split():
            _, command, _ = command.resolve_command(None, [word])
        found[verb] = ["--help", *(name for option in command.params for name in option.opts if name.startswith("-"))]
    return found


def test_each_command_and_option_appears_in_the_documents() -> None:
    sections = dict(re.findall(r"^## seg ?(.*?)\n(.*?)(?=^## |\Z)", (DOCS / "command-line.md").read_text("utf8"),
                               re.MULTILINE | re.DOTALL))  # fmt: skip
    known, by_hand = commands(), written_by_hand()
    assert sections.keys() == known.keys()
    for verb, options in known.items():
        words = set(re.findall(r"(?<![\w-])--?[\w-]+", sections[verb]))
        assert {*options} <= words, f"seg {verb}: {sorted({*options} - words)}"
        assert f"seg {verb}" in by_hand, f"no page says what seg {verb} is for"
    used = {option for options in known.values() for option in options}
    for typed in re.findall(r"^\$ seg (.*?)(?:\s# .*)?$", by_hand, re.MULTILINE):
        assert set(re.findall(r"(?<=\s)--[\w-]+", typed)) <= used, typed


def test_each_hook_and_each_name_of_the_interface_appears_in_the_documents() -> None:
    text = "\n".join(page.read_text("utf8") for page in [ROOT / "README.md", *DOCS.rglob("*.md")])
    assert [name for name in vars(hookspecs) if name.startswith("seg_") and name not in text] == []
    assert [name for name in toolkit.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_what_answers_in_json_is_listed() -> None:
    page = (DOCS / "scripting.md").read_text("utf8")
    cells = re.findall(r"^\| (`seg .*?`) \|", page, re.MULTILINE)
    listed = {verb for cell in cells for verb in re.findall(r"`seg ([a-z ]+?)(?: --[\w-]+)?`", cell)}
    assert listed == {verb for verb, options in commands().items() if "--json" in options}


@pytest.mark.parametrize("shape", [(40, 50), (6, 20, 30)])
def test_each_column_of_the_table_and_each_field_of_the_record_is_described(shape: tuple[int, ...]) -> None:
    page = (DOCS / "formats.md").read_text("utf8")
    named = {*re.findall(r"`(\w+)`", page)}
    objects = blobs(shape, 3, (3, 5)).instances
    image = Image.from_array(np.zeros(shape, np.uint8), voxel_size=(0.5,) * len(shape), calibrated=True)
    found = measure(objects, image, ("shape", "intensity"), np.zeros(len(objects), bool))
    assert {*found} <= named
    assert {field.name for field in fields(Done)} <= named
    options = inspect.signature(record).parameters
    assert options.keys() == {"package", "model", "options", "images"}
    assert {*zarrinstances.ARRAYS} <= named


def test_the_table_of_accuracy_is_one() -> None:
    tables = [re.search(r"<!-- accuracy: .*?<!-- /accuracy -->", page.read_text("utf8"), re.DOTALL)
              for page in (ROOT / "README.md", DOCS / "accuracy.md")]  # fmt: skip
    assert tables[0] is not None
    assert tables[1] is not None
    assert tables[0][0] == tables[1][0]


def test_pictures_are_small_and_each_is_shown_and_made_by_the_script() -> None:
    pictures, text = sorted((DOCS / "pictures").glob("*.png")), written_by_hand()
    assert max(path.stat().st_size for path in pictures) < 150_000
    assert sum(path.stat().st_size for path in pictures) < 1_000_000
    script = (DOCS / "screenshots.py").read_text("utf8")
    for path in pictures:
        assert f"pictures/{path.name})" in text
        assert re.search(rf"^def {path.stem}\(", script, re.MULTILINE)


def test_a_picture_that_would_show_a_path_of_this_machine_is_refused() -> None:
    spec = spec_from_file_location("screenshots", DOCS / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    script.placeless("a", "embedseg: nuclei truth.tif")
    for place in (tempfile.gettempdir(), str(ROOT)):
        with pytest.raises(SystemExit, match=r"a\.png would show a path of this machine"):
            script.placeless("a", f"embedseg: nuclei {place}/truth.tif")


def test_each_page_is_in_the_contents_of_the_site() -> None:
    contents = (ROOT / "mkdocs.yml").read_text("utf8").partition("nav:")[2]
    assert [page.name for page in DOCS.glob("*.md") if not re.search(rf"\b{page.name}\b", contents)] == []
