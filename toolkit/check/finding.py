"""What is noticed about a data set, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""`error`: cannot be used as it is. `warning`: can be used, but will disturb. `note`: good to know."""


@dataclass(frozen=True)
class Place:
    """An image, or some of its objects by id; `detail` says more in a few words."""

    image: str
    detail: str = ""
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        which = f" ids {_listed(self.ids)}" if self.ids else ""
        return f"{self.image}{which}" + (f" ({self.detail})" if self.detail else "")

    def to_json(self) -> dict[str, Any]:
        """As plain data; empty parts are left out."""
        return {"image": self.image} | {k: v for k, v in (("detail", self.detail), ("ids", list(self.ids))) if v}


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was noticed. `code` never changes, so that scripts can look for it."""

    code: str
    severity: Severity
    what: str
    do: str = ""
    where: tuple[Place, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "what": self.what,
            "do": self.do,
            "where": [place.to_json() for place in self.where],
        }


def finding(code: str, severity: Severity, what: str, do: str, where: Sequence[Place]) -> list[Finding]:
    """One finding, or none where there is no place."""
    return [Finding(code, severity, what, do, tuple(where))] if where else []


def count(number: int, one: str, many: str = "") -> str:
    """`1 image`, `3 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _listed(ids: Sequence[int], most: int = 5) -> str:
    shown = ", ".join(map(str, ids[:most]))
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"
