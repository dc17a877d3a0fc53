"""A method that fails at one place of every image, as the environment says: the plugin `poisoned`, written to a file.

`AT`: window, or block where something is near the place; `HOW`: killed, crashed, memory or error; `MOST`: only where a
side is of more voxels.
"""

import os
import signal
from dataclasses import replace
from typing import Any, Literal

from toolkit.api import hookimpl
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.plugins.passes import Pass
from toolkit.values.tiles import Box

SEG_API = 2
PLACE, NEAR = (70, 29), 3


def fail(at: str, box: Box) -> None:
    """Fail if `box` holds the place and is to fail."""
    most = int(os.environ.get("MOST", "0"))
    if os.environ.get("AT") != at or max(box.shape) <= most:
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


@hookimpl
def seg_postprocessors() -> list[type[Poisoned]]:
    return [Poisoned]
