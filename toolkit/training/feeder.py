"""A process that makes crops. It speaks through its pipes, so that nothing imports the caller's script again.

The program gets one line of JSON that names data and recipe, says "ready", then gets a line for each step and answers
with a line that describes arrays, followed by their bytes. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from toolkit.training.data import Batch, Crops

    Batches = tuple[Batch, ...]


class Feeder:
    """Such a process. `ask(step)` promises the batches of a step, in the order in which they are asked for.

    It promises None for what went wrong: whoever asks may try it himself and see.
    """

    def __init__(self, crops: Crops, owner: str | None, sharers: int) -> None:
        """`sharers` such processes share the memory for images."""
        # The paths are this process's: what is imported here is imported there.
        program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what fails is tried again by whoever asked, and said there
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # parallelism is processes
        )
        assert self._process.stdin is not None, "it was asked for"
        assert self._process.stdout is not None, "it was asked for"
        self._into, self._out = self._process.stdin, self._process.stdout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feeder")
        self.ready = self._thread.submit(self._begin, {
            "data": f"{crops.data.root}:{crops.data.split}",
            "recipe": crops.recipe.plain(),
            "owner": owner,
            "weights": crops.weights().tolist(),
            "sharers": sharers,
        })  # fmt: skip
        """Whether it has begun."""

    def ask(self, step: int) -> Future[Batches | None]:
        """The batches of a step, some time."""
        return self._thread.submit(self._answer, step)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        self._process.wait()
        for pipe in (self._into, self._out):
            try:
                pipe.close()
            except BrokenPipeError:  # what was asked and never read
                continue

    def _begin(self, about: dict[str, Any]) -> bool:
        return bool(self._tell(about) == "ready")

    def _answer(self, step: int) -> Batches | None:
        shapes = self._tell(step)
        if not isinstance(shapes, list):
            return None
        found: list[Batch] = []
        for part in shapes:
            found.append({})
            for name, dtype, shape in part:
                data = bytearray(prod(shape) * np.dtype(dtype).itemsize)
                if self._out.readinto(data) < len(data):  # type: ignore[attr-defined]
                    return None
                found[-1][name] = np.frombuffer(data, dtype).reshape(shape)
        return tuple(found)

    def _tell(self, said: object) -> Any:
        """Send a line and read the one that answers; None if the process has ended."""
        try:
            self._into.write(json.dumps(said).encode() + b"\n")
            self._into.flush()
        except OSError:
            return None
        line = self._out.readline()
        return json.loads(line) if line.endswith(b"\n") else None


def serve() -> None:
    """The program of the process."""
    from toolkit.io import open_dataset
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.recipe import Recipe
    from toolkit.training.data import Crops

    for one in (signal.SIGINT, signal.SIGHUP):  # they are for whoever started it, who then ends it
        signal.signal(one, signal.SIG_IGN)
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints is no answer
    about = json.loads(sys.stdin.readline())
    recipe = Recipe.parse(about["recipe"], Catalogue(), about["owner"])
    crops = Crops(open_dataset(about["data"]), recipe, np.array(about["weights"]), about["sharers"])
    _say(answers, "ready")
    for line in sys.stdin:
        batches = crops.batches(int(line))
        arrays = [{name: np.ascontiguousarray(array) for name, array in batch.items()} for batch in batches]
        _say(answers, [[(name, a.dtype.str, a.shape) for name, a in batch.items()] for batch in arrays])
        for batch in arrays:
            for array in batch.values():
                answers.write(array.data)
        answers.flush()


def _say(stream: IO[bytes], value: object) -> None:
    stream.write(json.dumps(value).encode() + b"\n")
    stream.flush()
