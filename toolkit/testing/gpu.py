"""Whether tests can use a GPU."""

from __future__ import annotations

from unittest import SkipTest

from toolkit.errors import UsageError
from toolkit.gpu.backend import Backend, select


def need_gpu() -> Backend:
    """The first GPU; skips the test where there is none."""
    try:
        return select("cuda")
    except UsageError as error:
        raise SkipTest(str(error)) from error
