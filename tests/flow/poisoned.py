"""A method that fails at one place of every image, as the environment says: the plugin `poisoned`, written to a file.

`AT`: window, or block where something is near the place; `HOW`: killed, crashed, memory or error; `MOST`: only where a
side is of more voxels. `HOW=some`: any windows kill their process once, until `TIMES` files lie in the folder `DIED`;
`HOW=slow`: all take their time.
"""

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from toolkit.api import hookimpl
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.plugins.passes import Pass
from toolkit.values.tiles import Box

SEG_API = 2
RECIPE = """schema: toolkit.recipe/1
name: poisoned
normalise: {kind: percentile, low: 0, high: 100}
network: {kind: image}
postprocess: {kind: "poisoned:poisoned", min_size: 1}
tiling: {window: [32, 32], overlap: 8}
training: {crop: [32, 32]}
"""
PLACE, NEAR = (70, 29), 3


def fail(at: str, box: Box) -> None:
    """Fail if `box` holds the place and is to fail."""
    most = int(os.environ.get("MOST", "0"))
    if os.environ.get("AT") != at or max(box.shape) <= most:
        return
    if os.environ["HOW"] == "slow":
        time.sleep(0.5)
        return
    if os.environ["HOW"] == "some":
        died = Path(os.environ["DIED"])
        mark = died / "-".join(map(str, box.start))
        if not mark.exists() and len(list(died.iterdir())) < int(os.environ["TIMES"]):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return
    if not all(a <= p < b for a, b, p in zip(box.start, box.stop, PLACE, strict=True)):
        return
    match os.environ["HOW"]:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "memory":
            raise MemoryError
        case "error":
            raise ValueError("it is poisoned")


class Poisoned(Threshold):
    kind: Literal["poisoned"] = "poisoned"

    def check(self, heads: Any, ndim: int) -> None:
        """Takes any."""

    def probability(self, prediction: Any) -> Any:
        fail("window", prediction.box)
        return prediction["image"][0]

    def passes(self) -> tuple[Pass, ...]:
        first, *rest = super().passes()

        def local(piece: Any, state: Any, backend: Any) -> Any:
            if any(max(abs(y - PLACE[0]), abs(x - PLACE[1])) < NEAR for y, x in zip(*piece.where, strict=True)):
                fail("block", piece.core)
            return first.local(piece, state, backend)

        return replace(first, local=local), *rest


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the plugin found as if it were installed, and the image `a.tif` of 16 windows beside it; gives the words of
    a run in 4 blocks."""
    from importlib import invalidate_caches

    import tifffile

    from tests.models import bright

    about = folder / "site" / "toolkit_poisoned-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: seg-toolkit-poisoned\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[toolkit.plugins]\npoisoned = toolkit_poisoned\n")
    shutil.copyfile(__file__, folder / "site" / "toolkit_poisoned.py")
    monkeypatch.syspath_prepend(folder / "site")
    invalidate_caches()
    monkeypatch.setenv("SEG_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    tifffile.imwrite("a.tif", bright((100, 90), 0, 50))
    Path("poisoned.yaml").write_text(RECIPE)
    return ["run", "--recipe", "poisoned.yaml", "--block", "50", "--no-preview", "--diameter", "off"]


@hookimpl
def seg_postprocessors() -> list[type[Poisoned]]:
    return [Poisoned]
