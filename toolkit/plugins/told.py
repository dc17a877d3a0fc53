"""What a spec refuses in a sentence gets the place in the recipe where the spec stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.errors import UsageError


@contextmanager
def told(section: str) -> Iterator[None]:
    """A `ValueError` of the spec in this section of a recipe becomes a `UsageError` that begins with it."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{section}: {error}") from error
