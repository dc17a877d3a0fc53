"""What a spec gives in a process with another `PYTHONHASHSEED`: the order of a set must not decide anything."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
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
SLOW = ("hypothesis", "numba", "pytest", "scipy.ndimage", "skimage.measure", "skimage.segmentation", "torch")
"""What is imported once for all tasks, where the process that asks has needed it."""
_children: dict[tuple[int, str], subprocess.Popen[str]] = {}
CURE = ", and remember nothing of other windows"


def same_for_any_seed(spec: Spec, given: Given) -> None:
    """Assert that `spec` makes the same of the arrays `given` in this process and in two others, where a post-processor
    sees the last window first: heads by name for it, `truth` and `predicted` layers for a loss or a metric."""
    kind = type(spec)
    if _found(kind.__module__, kind.__qualname__) is not kind:
        raise SkipTest(f"{kind.__qualname__} cannot be imported from {kind.__module__} by another process")
    here = made(spec, given)
    with TemporaryDirectory() as folder:
        task = {"module": kind.__module__, "name": kind.__qualname__, "fields": spec.model_dump(mode="json"),
                "path": [path for path in sys.path if path], "here": str(Path.cwd()),
                "environment": dict(os.environ)}  # fmt: skip
        (Path(folder) / "task.json").write_text(json.dumps(task), encoding="utf8")
        np.savez(Path(folder) / "given.npz", **dict[str, Any](given))
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
    children = [_child(seed) for seed in SEEDS]
    for child, seed in zip(children, SEEDS, strict=True):
        assert child.stdin is not None
        child.stdin.write(json.dumps([folder, seed]) + "\n")
        child.stdin.flush()
    return [_said(child, Path(folder), seed) for child, seed in zip(children, SEEDS, strict=True)]


def _child(seed: str) -> subprocess.Popen[str]:
    """A process with this seed, which waits for folders of tasks until this one ends."""
    # A fork of this process must not read what its parent is told.
    key = (os.getpid(), seed)
    if key not in _children or _children[key].poll() is not None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": seed}
        # -P: what lies in the working folder must not be imported instead of what is installed.
        command = [sys.executable, "-P", "-m", __name__, *(name for name in SLOW if name in sys.modules)]
        pipe = subprocess.PIPE
        _children[key] = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    return _children[key]


def _said(child: subprocess.Popen[str], folder: Path, seed: str) -> str:
    assert child.stdout is not None
    code = child.stdout.readline().strip()
    if not code:
        child.wait()
    said = folder / f"{seed}.said"
    lines = said.read_text(encoding="utf8", errors="replace").strip().splitlines() if said.exists() else []
    assert code == "0", f"it fails in a process of its own: {lines[-1] if lines else f'exit status {code}'}"
    return (folder / f"{seed}.answer").read_text(encoding="utf8")


@atexit.register
def _end() -> None:
    for (owner, _), child in _children.items():
        if owner == os.getpid():
            child.communicate()


def _found(module: str, name: str) -> Any:
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def _serve() -> None:
    """Answer until nobody asks any more: an exit status for each task, whose folder gets the answer."""
    for name in sys.argv[1:]:
        import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        folder, seed = json.loads(line)
        code = _forked(Path(folder), seed) if sys.platform == "linux" else _tried(Path(folder), seed)
        answers.write(f"{code}\n")
        answers.flush()
        if sys.platform != "linux":
            return


def _forked(folder: Path, seed: str) -> int:
    """Each task is the first one: what a spec remembers ends with it."""
    child = os.fork()
    if not child:
        os._exit(_tried(folder, seed))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _tried(folder: Path, seed: str) -> int:
    with (folder / f"{seed}.said").open("w", encoding="utf8") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    try:
        _answer(folder, seed)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _answer(folder: Path, seed: str) -> None:
    task = json.loads((folder / "task.json").read_text(encoding="utf8"))
    os.environ.clear()
    os.environ.update(task["environment"], PYTHONHASHSEED=seed)
    os.chdir(task["here"])
    sys.path[:] = task["path"]
    invalidate_caches()
    spec = _found(task["module"], task["name"]).model_validate(task["fields"])
    with np.load(folder / "given.npz") as arrays:
        (folder / f"{seed}.answer").write_text(made(spec, dict(arrays), backwards=True), encoding="utf8")


if __name__ == "__main__":
    _serve()
