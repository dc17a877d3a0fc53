"""For all tests of the repository."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# At home every run looks at new examples; where a change is judged, the same change gets the same answer.
settings.register_profile("judged", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("home", deadline=None, print_blob=True)
settings.load_profile("judged" if os.environ.get("CI") else "home")


@pytest.fixture
def obtained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Path], tuple[float, float]]:
    """`(run, data) -> (score that the training said, score of what `seg run` makes of the split `val`)`."""
    from toolkit.cli import main
    from toolkit.plugins.sections import VALUES

    def judge(run: Path, data: Path) -> tuple[float, float]:
        said = json.loads((run / "training.json").read_text())["closing"]
        folder = tmp_path_factory.mktemp("obtained")
        out, found = str(folder / "out"), folder / "found.json"
        metric = next(name for name, value in VALUES.items() if value == said["metric"])
        assert main(["run", f"{data}:val", "--model", str(run), "-o", out, "--workers", "1", "--device", "cpu"]) == 0
        assert main(["evaluate", out, f"{data}:val", "--metric", metric, "--output", str(found)]) == 0
        return said["value"], json.loads(found.read_text())["summary"][said["metric"]]["mean"]

    return judge


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the conformance suite's comparisons with a GPU; leaves tests of a browser and of napari to `-m browser` and
    `-m napari`."""
    for item in items:
        if item.name == "test_gpu_agrees_with_cpu":
            item.add_marker("gpu")
        if item.get_closest_marker("linux") and sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="looks at what only Linux has"))
    for mark in ("browser", "napari"):
        if mark not in config.option.markexpr:
            config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(mark)])
            items[:] = [item for item in items if not item.get_closest_marker(mark)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is skipped says nothing: only a missing GPU excuses it, or another system than Linux."""
    report = yield
    excused = item.get_closest_marker("gpu") or (item.get_closest_marker("linux") and sys.platform != "linux")
    return report if excused or hasattr(report, "wasxfail") else refused(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same of whole files."""
    return refused((yield))


def refused(report: Report) -> Report:
    """A skip as the failure that it is."""
    if report.skipped:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, and not for want of a GPU: {why}"
    return report
