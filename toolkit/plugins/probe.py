"""Import plugins in child processes: one that ends, blocks or floods its process cannot harm this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toolkit.plugins.burdens import burdens, told
from toolkit.plugins.catalogue import Catalogue, Loaded, Plugin, broken, patience


@dataclass(frozen=True)
class Probe:
    """What came of importing a plugin elsewhere: names by family, or the error."""

    plugin: Plugin
    items: dict[str, list[str]]
    error: str | None = None
    cure: str = Loaded.cure
    burden: str = ""
    """What is slow to import of what it imports when it is loaded, in a sentence."""


def probe(plugins: Sequence[Plugin], timeout: float = 30.0) -> list[Probe]:
    """Import each plugin in a process of its own, a few at a time; none may take longer than `timeout` seconds."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda plugin: _probe(plugin, timeout), plugins))


def healthy(plugin: Plugin, timeout: float = 30.0) -> Probe:
    """What came of importing it; `PluginError` if it cannot be: what would end or block this process is found here."""
    with patience(plugin, f"it is given {timeout:g} seconds"):
        found = _probe(plugin, timeout)
    if found.error:
        raise broken(plugin, found.error, found.cure)
    return found


def _probe(plugin: Plugin, timeout: float) -> Probe:
    # -P: what lies in the working folder must not be imported instead of what is installed.
    command = [sys.executable, "-P", "-m", __name__, plugin.name, plugin.distribution]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            answer, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            return Probe(plugin, {}, f"its import took longer than {timeout:g} seconds")
    try:
        said = json.loads(answer)
    except ValueError:
        return Probe(plugin, {}, f"its import ended the process with status {child.returncode}")
    return Probe(plugin, said["items"], said["error"], said["cure"], said["burden"])


def _answer(name: str, distribution: str) -> None:
    """The child's side: import, and write what came of it to the pipe, which the plugin cannot reach."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    catalogue = Catalogue(allow=[name])
    chosen = next(p for p in catalogue.plugins if (p.name, p.distribution) == (name, distribution))
    with burdens(chosen.entry.module) as found:
        loaded = catalogue.load(chosen)
    items = {family: sorted(names) for family, names in loaded.items.items()}
    with os.fdopen(pipe, "w") as stream:
        said = {"items": items, "error": loaded.error, "cure": loaded.cure, "burden": told(found)}
        json.dump(said, stream)
        stream.flush()
        # A thread that the plugin left running must not keep this process.
        os._exit(0)


if __name__ == "__main__":
    _answer(*sys.argv[1:])
