"""The only readers of foreign bytes: archives, YAML, tensors, graphs, code. A test keeps it so.

Every function here takes bytes whose sha256 the caller has checked, or checks it, and answers hostile or damaged input
with one `ModelError` or `NotTrusted`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import ModelError, ToolkitError


@contextmanager
def refusing(what: str, where: object, do: str = "get the model again from its author") -> Iterator[None]:
    """Turn whatever a parser raises on hostile bytes into `ModelError`, with the parser's words."""
    try:
        yield
    except ToolkitError:
        raise
    # A parser of hostile bytes may raise anything, RecursionError and MemoryError included.
    except Exception as error:
        raise ModelError(what, f"{where} ({said(error)})", do) from error


def said(error: BaseException) -> str:
    """What a parser or a runtime says, in a few words."""
    return " ".join(str(error).split())[:160] or type(error).__name__
