"""The documents say what is true."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from toolkit.plugins import hookspecs
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf8"), re.DOTALL)


def test_hooks_are_documented_with_their_signatures() -> None:
    listed = re.findall(r"^- `(seg_\w+.*?)`$", (DOCS / "hooks.md").read_text(encoding="utf8"), re.MULTILINE)
    real = [f"{n}{inspect.signature(f)}".replace("'", "") for n, f in vars(hookspecs).items() if n.startswith("seg_")]
    assert listed == real


def test_the_method_in_the_documents_passes_the_conformance_suite(tmp_path: Path) -> None:
    method, tests = blocks(DOCS / "hooks.md", "python")
    assert len(method.splitlines()) < 60
    (tmp_path / "test_bright.py").write_text(method + "\n" + tests)
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


def test_the_page_of_the_command_line_is_what_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "make.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
