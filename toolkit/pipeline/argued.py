"""What advises an option of the command line, said with the argument of Python that means the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import ToolkitError

ARGUMENTS = {"plugin": "model", "set": "changes"}
"""Arguments whose options are called otherwise."""


@contextmanager
def called() -> Iterator[None]:
    """Errors that come of a call in Python say what to do in Python."""
    try:
        yield
    except ToolkitError as error:
        texts = [argued(text) for text in (error.what, error.where, error.do)]
        if texts == [error.what, error.where, error.do]:
            raise
        raise type(error)(*texts) from error


def argued(text: str) -> str:
    """A sentence with arguments in place of options."""
    text = re.sub(r"^--diameter (.+)$", r"diameter=\1", text)
    text = re.sub(r"--set ('[^']*'|\S+=\S+)", lambda found: f'changes=["{found[1].strip(chr(39))}"]', text)
    text = re.sub(r"--(channel|diameter) (haematoxylin|off)\b", r'\1="\2"', text)
    text = re.sub(r"--channel (\d+)", r"channel=\1", text)
    return re.sub(
        r"--([a-z][a-z-]*[a-z])", lambda found: ARGUMENTS.get(found[1], found[1].replace("-", "_")) + "=", text
    )
