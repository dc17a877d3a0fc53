"""What a spec gives in a process with another `PYTHONHASHSEED`: the order of a set must not decide anything."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.passes import sweep
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss, PostProcessor, Spec
from toolkit.testing.blockwise import pieces, prediction, small
from toolkit.values.instances import Instances
from toolkit.values.tiles import Block
from toolkit.values.truth import Truth

Given = Mapping[str, NDArray[Any]]
SEEDS = ("1", "2")
CURE = ", and remember nothing of other windows and images"


def same_for_any_seed(spec: Spec, *given: Given) -> None:
    """Assert that `spec` makes the same of all arrays `given` in this process and in two others, where a post-processor
    sees the last window first: heads by name for it, `truth` and `predicted` layers for a loss or a metric."""
    kind = type(spec)
    if _found(kind.__module__, kind.__qualname__) is not kind:
        raise SkipTest(f"{kind.__qualname__} cannot be imported from {kind.__module__} by another process")
    here = "; ".join(made(spec, each) for each in given)
    with TemporaryDirectory() as folder:
        task = {"module": kind.__module__, "name": kind.__qualname__, "fields": spec.model_dump(mode="json")}
        (Path(folder) / "task.json").write_text(json.dumps(task), encoding="utf8")
        named: dict[str, Any] = {f"{n}/{name}": a for n, each in enumerate(given) for name, a in each.items()}
        np.savez(Path(folder) / "given.npz", **named)
        there = _elsewhere(folder)
    differ = [seed for seed, answer in zip(SEEDS, there, strict=True) if answer != here]
    assert not differ, f"with PYTHONHASHSEED={differ[0]} it gives something else: sort what comes out of a set{CURE}"


def made(spec: Spec, given: Given, backwards: bool = False) -> str:
    """What a spec makes of some arrays, as a text that is equal for equal results."""
    match spec:
        case PostProcessor():
            whole = prediction(dict(given))
            kept = pieces(spec, whole, small(whole.shape), backwards=backwards)
            found = sweep(spec, kept, [Block(0, whole.box)])
            return f"scores {found.scores.tobytes().hex()} of {found.digest}"
        case Loss():
            targets = spec.targets(Truth.from_layers(given["truth"]))
            parts = [f"{n} {a.dtype} {a.shape}".encode() + a.tobytes() for n, a in sorted(targets.items())]
            return hashlib.sha256(b"".join(parts)).hexdigest()
        case Metric():
            predicted = Instances.from_layers(given["predicted"])
            counts = spec.count(Truth.from_layers(given["truth"]), predicted)
            return json.dumps([counts, spec.summarise([counts])], sort_keys=True)
    raise TypeError(type(spec).__name__)


def _elsewhere(folder: str) -> Sequence[str]:
    # -P: what lies in the working folder must not be imported instead of what is installed.
    command = [sys.executable, "-P", "-m", __name__, folder]
    path, pipe = os.pathsep.join(filter(None, sys.path)), subprocess.PIPE
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdout=pipe, stderr=pipe, text=True,
                    env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
                )
            )
            for seed in SEEDS
        ]  # fmt: skip
        answers = [child.communicate() for child in children]
    for child, (_, said) in zip(children, answers, strict=True):
        assert child.returncode == 0, f"it fails in a process of its own: {said.strip().splitlines()[-1]}"
    return [answer.strip().splitlines()[-1] for answer, _ in answers]


def _found(module: str, name: str) -> Any:
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def _answer(folder: Path) -> None:
    task = json.loads((folder / "task.json").read_text(encoding="utf8"))
    spec = _found(task["module"], task["name"]).model_validate(task["fields"])
    given: dict[str, dict[str, NDArray[Any]]] = {}
    with np.load(folder / "given.npz") as arrays:
        for key in arrays:
            number, _, name = key.partition("/")
            given.setdefault(number, {})[name] = arrays[key]
    answer = "; ".join(made(spec, each, backwards=True) for each in given.values())
    sys.stdout.write(f"\n{answer}\n")


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
