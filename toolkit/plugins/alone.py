"""A network where this toolkit is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Alone:
    """What makes a network out of sources that need torch alone (or `requires` as well).

    `modules` are joined in this order, without what they import of a toolkit or of each other: no name but that of
    `toolkit.api.Head` may be used from elsewhere. Their class `name` is called with `heads` and with `arguments`, which
    are plain data, and has the tensors of the module that `Network.build` makes, under the same names.
    """

    modules: tuple[str, ...]
    name: str
    arguments: Mapping[str, Any]
    requires: tuple[str, ...] = ()
