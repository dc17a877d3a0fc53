"""Every error that a user can cause. One subclass for each exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any


class ToolkitError(Exception):
    """What is wrong, where, and what to do about it: one sentence for the user, one exit code for scripts."""

    exit_code = 1
    item: Any = None
    """What was being worked on, if that is known."""

    def __init__(self, what: str, where: object = "", do: str = "") -> None:
        self.what, self.where, self.do = what, str(where), do
        super().__init__(what, self.where, do)

    def add(self, do: str) -> None:
        """One more thing to do, or nothing."""
        self.do = "; ".join(filter(None, (self.do, do)))

    def __str__(self) -> str:
        text = f"{self.what}: {self.where}" if self.where else self.what
        return f"{text}; {self.do}" if self.do else text


class UsageError(ToolkitError):
    """Unknown name or key, output that exists, absent device."""

    exit_code = 2


class NotTrusted(ToolkitError):
    """The model carries code that nobody has reviewed or trusted."""

    exit_code = 3


class ModelError(ToolkitError):
    """The model is damaged, unsupported or forbidden, or its plugin is not installed."""

    exit_code = 4


class InputError(ToolkitError):
    """An input is bad or missing."""

    exit_code = 5


class OutOfMemory(ToolkitError):
    """Memory does not suffice even for the smallest piece of work."""

    exit_code = 6


class StorageError(ToolkitError):
    """The disk is full, a path may not be written, or the output is in use."""

    exit_code = 7


class BlocksFailed(ToolkitError):
    """A block failed as often as it was tried; what is done of the others is kept. `killed`: as where memory runs
    out."""

    exit_code = 8
    killed = False


class PluginError(ToolkitError):
    """A plugin in use failed."""

    exit_code = 9


class Interrupted(ToolkitError):
    """The user stopped the run; it can be resumed."""

    exit_code = 130


@contextmanager
def about(item: Any) -> Iterator[None]:
    """Let errors say what was being worked on, unless they know it better."""
    try:
        yield
    except ToolkitError as error:
        if error.item is None:
            error.item = item
        raise
    except Exception as error:
        if not scarce(error):
            raise
        lack = OutOfMemory("memory does not suffice", str(item))
        lack.item = item
        raise lack from error


def scarce(error: BaseException) -> bool:
    """Whether memory ran out, of whatever kind."""
    return isinstance(error, MemoryError | OutOfMemory) or type(error).__name__ == "OutOfMemoryError"


def nearest(name: str, names: Iterable[str]) -> str:
    """A clause that proposes the nearest of `names`, or lists them all when none is near."""
    known = sorted(set(names))
    close = get_close_matches(name.lower(), [n.lower() for n in known], n=1, cutoff=0.5)
    if close:
        return f"did you mean {next(n for n in known if n.lower() == close[0])!r}?"
    return f"choose one of {', '.join(known)}" if known else "there is none to choose from"
