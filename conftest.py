"""For all tests of the repository."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

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
