"""What authors may rely on: one module, and nobody goes round it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit import api, testing

ROOT = Path(__file__).resolve().parents[2]
DOORS = {"toolkit", "toolkit.api", "toolkit.testing"}
"""What plugins, their tests and the documents import; `toolkit` is for users."""
PROMISED = set(
    """
    Alone Backend Because Box Component Counts Deduced Fit Fragment FromForeground Gathering Head Image InputError
    Instances Joined Loss Marks Member Metric ModelError Network Offset OutOfMemory Pass Phase Piece Plain PlainUNet
    PluginError PostProcessor Prediction STEPS Search Spec Survey Team Thought ToolkitError Trunk Truth UsageError
    Voxels at_offset begin_heads components cores divide ends hookimpl jit kernels metric mutex_partition nearest need
    postprocessor rounded runs stitch unet_level usual_offsets
    """.split()  # noqa: SIM905
)


def test_what_is_promised_is_there_and_nothing_else() -> None:
    assert set(api.__all__) == PROMISED, "a change of this list is a change of SEG_API: write it down"
    for name in api.__all__:
        assert getattr(api, name) is not None
    unsaid = {name for name in vars(api) if not name.startswith("_")} - PROMISED
    assert unsaid == {"Any", "TYPE_CHECKING", "import_module"}


def test_every_name_for_tests_is_there() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None


def imported(source: str) -> Iterator[str]:
    """Modules of the core that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def of_core(source: str) -> set[str]:
    return {name for name in imported(source) if name.partition(".")[0] == "toolkit"}


@pytest.mark.parametrize("plugin", sorted(p.name for p in (ROOT / "plugins").iterdir() if p.is_dir()))
def test_a_plugin_and_its_tests_import_the_doors_alone(plugin: str) -> None:
    for path in sorted((ROOT / "plugins" / plugin).rglob("*.py")):
        doors = DOORS if "tests" in path.parts else {"toolkit.api"}
        assert of_core(path.read_text(encoding="utf8")) <= doors, path.relative_to(ROOT)


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_documents_import_the_doors_alone(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf8"), re.DOTALL):
        assert of_core(block) <= DOORS, block


def test_the_page_on_moving_names_what_there_is() -> None:
    rows = re.findall(r"^\| `.*\| (.*) \|$", (ROOT / "docs" / "moving-to-api-2.md").read_text(), re.MULTILINE)
    assert len(rows) > 5
    for name in re.findall(r"`([\w.]+)`", " ".join(rows)):
        last = name.rpartition(".")[2]
        assert last in (testing if name.startswith("toolkit.testing.") else api).__all__, name
