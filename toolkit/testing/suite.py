"""All conformance tests of a plugin, without pytest: in a child process, because a test may end or block it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from threading import Timer
from typing import Any, Literal, TextIO
from unittest import SkipTest

from toolkit.errors import ToolkitError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.lacking import lacking
from toolkit.testing.subjects import checks

RUNNING, WHOLE = "running", "that was all"
"""What the child says before each check, and at its end: without it, whatever its status, it has not come that far."""
READ_ONLY = "it writes into what it was given, which others read, too: work on a copy"


@dataclass(frozen=True)
class Outcome:
    """What one check of one subject ("network unet") came to; `why` is empty if it is ok."""

    subject: str
    check: str
    state: Literal["ok", "failed", "skipped"]
    why: str = ""
    seconds: float = 0.0


def run(plugin: str, timeout: float = 300.0, environment: Mapping[str, str] | None = None) -> Iterator[Outcome]:
    """Run all checks in a child process, as they finish; no check may take longer than `timeout` seconds."""
    # -P: what lies in the working folder must not be imported instead of what is installed.
    command = [sys.executable, "-P", "-m", __name__, plugin]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as child:
        assert child.stdout is not None
        running, whole = Outcome(f"plugin {plugin}", "import", "failed"), False
        timer = Timer(timeout, child.kill)
        timer.start()
        began = time.monotonic()
        for line in child.stdout:
            timer.cancel()
            outcome = Outcome(**json.loads(line))
            if outcome.why == RUNNING:
                running = outcome
            elif outcome.why == WHOLE:
                whole = True
            else:
                yield outcome
            timer, began = Timer(timeout, child.kill), time.monotonic()
            timer.start()
        timer.cancel()
        status = child.wait()
    if status != 0 or not whole:
        late = time.monotonic() - began >= timeout
        why = f"it took longer than {timeout:g} seconds" if late else f"it ended the process with status {status}"
        yield Outcome(running.subject, running.check, "failed", why)


def outcome(subject: str, name: str, test: Any, distribution: str = "") -> Outcome:
    """Run one test of something that `distribution` brings."""
    check = name.removeprefix("test_").replace("_", " ")
    began = time.monotonic()
    try:
        test()
    except SkipTest as reason:
        return Outcome(subject, check, "skipped", str(reason), time.monotonic() - began)
    # Whatever the code of a plugin raises is what this check is there to find.
    except (Exception, SystemExit) as error:
        why = str(error) if isinstance(error, AssertionError | ToolkitError) and str(error) else _trace(error)
        why = f"{why}\n{READ_ONLY}" if "read-only" in why else why
        cure = lacking(distribution, error) if distribution else None
        why = f"{why}\n{cure}" if cure and cure not in why else why
        return Outcome(subject, check, "failed", why, time.monotonic() - began)
    return Outcome(subject, check, "ok", "", time.monotonic() - began)


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-3)).strip()


def _answer(plugin: str, stream: TextIO) -> None:
    """The child's side: one JSON line before each check and one after it."""
    found: list[tuple[str, type]] = []
    begun = outcome(f"plugin {plugin}", "import", lambda: found.extend(checks(Catalogue().use(plugin))))
    if begun.state != "ok":
        _say(stream, begun)
    distribution = next((p.distribution for p in Catalogue().plugins if p.name == plugin), "")
    for subject, tests in found:
        instance = tests()
        for name in sorted(dir(instance)):
            if name.startswith("test_"):
                _say(stream, Outcome(subject, name, "failed", RUNNING))
                _say(stream, outcome(subject, name, getattr(instance, name), distribution))
    _say(stream, Outcome("", "", "ok", WHOLE))


def _say(stream: TextIO, what: Outcome) -> None:
    stream.write(json.dumps(asdict(what)) + "\n")
    stream.flush()


if __name__ == "__main__":
    # The plugin reaches standard output no more, so nothing it prints gets between the lines.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _answer(sys.argv[1], pipe)
    # A thread that the plugin left running must not keep this process.
    os._exit(0)
