"""A case of the fuzz."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """Files in a folder, and what `seg` is told there. `kept` may appear beside them."""

    arguments: tuple[str, ...]
    files: dict[str, bytes]
    kept: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
