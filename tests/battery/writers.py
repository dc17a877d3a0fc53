"""Processes that add models to one registry, and a parent that kills them. Run as a script: prints what it saw."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.registry.gate.archive import Files, open_package
from toolkit.registry.store import Entry, Store

EACH = 200


def package(folder: Path, name: str) -> Files:
    """A tiny package that is like no other."""
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    for file in ("rdf.yaml", "weights"):
        (path / file).write_text(f"{name} {file}")
    return open_package(path)


def write(home: Path, sources: Path, log: Path, name: str, first: int, last: int) -> None:
    """Add models `name-first` … and note each in `log` once the registry has acknowledged it."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(first, last):
        try:
            Store(home).add(package(sources, f"{name}-{number}"), Entry(f"{name}-{number}", "1", ""), ["best"])
            os.write(handle, f"ok {name}-{number}\n".encode())
        except ToolkitError as error:
            os.write(handle, f"failed {name}-{number} {error}\n".encode())


def fork(function: object, *arguments: object) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        function(*arguments)  # type: ignore[operator]
        code = 0
    finally:
        os._exit(code)


def crowd(root: Path, writers: int) -> None:
    """Writers side by side, undisturbed."""
    children = [
        fork(write, root / "home", root / "sources", root / f"log-{i}", f"w{i}", 0, EACH) for i in range(writers)
    ]
    for child in children:
        os.waitpid(child, 0)


def kills(root: Path, count: int, writers: int, seed: int) -> int:
    """Writers side by side, one of which is killed again and again; each time another takes its place."""
    rng = random.Random(seed)
    begin = dict.fromkeys(range(writers), 0)

    def start(i: int) -> int:
        begin[i] += 1000
        return fork(write, root / "home", root / "sources", root / f"log-{i}", f"w{i}", begin[i], begin[i] + 1000)

    children = {i: start(i) for i in range(writers)}
    done = 0
    for _ in range(count):
        time.sleep(rng.uniform(0.005, 0.12))
        victim = rng.randrange(writers)
        os.kill(children[victim], signal.SIGKILL)
        done += os.WIFSIGNALED(os.waitpid(children[victim], 0)[1])
        children[victim] = start(victim)
    for child in children.values():
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return done


def twins(root: Path, rounds: int) -> int:
    """Two processes install one model at the same moment; how often both succeed and there is one object."""
    good = 0
    for number in range(rounds):
        home, files = root / f"twins-{number}", package(root / "sources", f"twin-{number}")
        at = time.monotonic() + 0.02

        def add(name: str, home: Path = home, files: Files = files, at: float = at) -> None:
            while time.monotonic() < at:
                pass
            Store(home).add(files, Entry(name, "1", ""))

        children = [fork(add, "same"), fork(add, "same" if number % 2 else "other")]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        names = {entry.name for entry in Store(home).entries()}
        one = [p.name for p in (home / "objects").iterdir()] == [files.digest]
        good += codes == [0, 0] and one and names == ({"same"} if number % 2 else {"same", "other"})
    return good


def report(root: Path) -> dict[str, object]:
    """What is in the registry against what was acknowledged."""
    store = Store(root / "home")
    lines = [line for log in root.glob("log-*") for line in log.read_text().splitlines()]
    said = [line.split(" ", 1)[1] for line in lines if line.startswith("ok ")]
    there = {entry.name: entry for entry in store.entries()}
    half = [p.name for p in (store.home / "objects").iterdir() if open_package(p).digest != p.name]
    half += [e.name for e in there.values() if not store.objects.folder(e.sha256).is_dir() or e.aliases != ("best",)]
    return {
        "acknowledged": len(said),
        "lost": sorted(set(said) - there.keys()),
        "failed": [line for line in lines if not line.startswith("ok ")],
        "half": half,
    }


if __name__ == "__main__":
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "twins":
        result: dict[str, object] = {"good": twins(folder, 20)}
    else:
        killed = kills(folder, 80, 4, 7) if task == "kills" else crowd(folder, 4)
        result = {"killed": killed, **report(folder)}
    sys.stdout.write(json.dumps(result))
