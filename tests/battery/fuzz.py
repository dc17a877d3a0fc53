"""Seeded mutations of everything that people get from others: descriptions, tensors, graphs, archives, recipes,
records, data sets, journals. `python -m tests.battery.fuzz 2000` tries so many and prints what is wrong."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from tests.battery.case import Case
from tests.battery.forkserver import ForkServer, Result
from tests.battery.fuzzed import case, stop
from tests.battery.fuzzed_results import give
from tests.battery.installed import install_good

SECONDS = 40.0
CPU, MEMORY = 5.0, 1.0
"""Seconds of processor time, and GiB beside what the server holds, that any case may take."""
CODES = {0, 2, 3, 4, 5}
IMPORTED = (
    *("monai.networks.nets", "numba", "onnx", "onnxruntime", "safetensors.torch", "tifffile", "zarr", "toolkit.check"),
    *(
        f"toolkit.cli.{verb}"
        for verb in ("run", "show", "check", "correct", "suggest", "view", "models.add", "models.test", "models.show")
    ),
    *("toolkit.correct.correct", "toolkit.correct.suggest", "toolkit.view.embedded", "toolkit.view.found"),
    *(f"toolkit.registry.bioimageio.{name}" for name in ("format_0_4", "format_0_5", "module")),
    *("toolkit.registry.gate.graph", "toolkit.registry.install", "toolkit.io.output"),
)


def wrong(found: Result, folder: Path, made: Case, base: float) -> str:
    """What is wrong with the end of a case, if anything."""
    said = []
    log = folder.with_suffix(".log")
    if found.code not in CODES:
        said.append(f"exit code {found.code}")
    if "Traceback" in found.err or len(found.errors) != (found.code != 0):
        said.append("no single sentence")
    if any(letter in found.out + found.err for letter in ("\x1b", "\x07", "\u202e")):
        said.append("an escape")
    if found.cpu > CPU or found.memory > base + MEMORY:
        said.append(f"{found.cpu:.1f} s, {found.memory - base:.1f} GiB")
    if log.exists():
        said.append(f"seen: {log.read_text()[:300]}")
    tops = {name.partition("/")[0] for name in (*made.files, *made.kept, *made.environment.values())}
    if beside := {p.name for p in folder.iterdir()} - tops:
        said.append(f"left {sorted(beside)}")
    for name, data in made.files.items():
        if name.partition("/")[0] not in made.kept and (folder / name).read_bytes() != data:
            said.append(f"{name} has changed")
    return f"{', '.join(said)}: {found.err[-700:]}" if said else ""


def attempt(server: ForkServer, folder: Path, plugins: Path, made: Case, base: float) -> tuple[int, str]:
    """The exit code of a case and what is wrong with it."""
    folder.mkdir()
    for name, data in made.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    watched = {"WATCHED": str(folder.with_suffix(".log"))} if made.arguments[0] == "models" else {}
    try:
        found = server(
            *made.arguments, folder=folder, path=plugins, timeout=SECONDS, **watched, **made.environment
        )  # fmt: skip
    except TimeoutError as error:
        return -1, str(error)
    why = wrong(found, folder, made, base)
    shutil.rmtree(folder)
    return found.code, f"seg {' '.join(made.arguments)}: {why}" if why else ""


def tried(cases: Mapping[Any, Callable[[], Case]], folder: Path, plugins: Path) -> dict[Any, tuple[int, str]]:
    """Exit code of each case and what is wrong with it, on two servers."""
    servers = [ForkServer(*IMPORTED) for _ in range(2)]
    names = list(cases)

    making = Lock()

    def run(number: int) -> dict[Any, tuple[int, str]]:
        found = {}
        for n in range(number, len(names), len(servers)):
            with making:  # libraries with circular imports cannot be imported by two threads
                made = cases[names[n]]()
            found[names[n]] = attempt(servers[number], folder / f"case-{n}", plugins, made, base)
        return found

    try:
        base = servers[0]("--version", folder=folder).memory
        with ThreadPoolExecutor(len(servers)) as pool:
            return {name: row for part in pool.map(run, range(len(servers))) for name, row in part.items()}
    finally:
        for server in servers:
            server.close()


def fuzzed(seeds: Iterable[int], folder: Path) -> dict[int, tuple[int, str]]:
    """What comes of the cases of these numbers."""
    plugins = folder / "plugins"
    plugins.mkdir()
    install_good(plugins)
    stop(folder / "stopped", plugins)
    give(folder / "given")
    return tried({seed: partial(case, seed) for seed in seeds}, folder, plugins)


def main() -> None:
    """Try as many seeds as the first argument says, from the second on."""
    count, first = (int(a) for a in (*sys.argv[1:], "0")[:2])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzzed(range(first, first + count), Path(folder))
    bad = {seed: why for seed, (_, why) in found.items() if why}
    for seed, why in bad.items():
        sys.stdout.write(f"seed {seed}: {why}\n")
    counts = ", ".join(f"{code}: {number}" for code, number in sorted(Counter(c for c, _ in found.values()).items()))
    sys.stdout.write(f"{count} cases, {len(bad)} wrong, {time.monotonic() - began:.0f} s; exit codes {counts}\n")


if __name__ == "__main__":
    main()
