"""JSON that a training left beside its weights: a mapping of plain data."""

from __future__ import annotations

import json
from typing import Any

from toolkit.registry.gate import refusing

MOST_BYTES = 2**20


def parse(data: bytes, where: object) -> dict[str, Any]:
    """The mapping that JSON bytes hold, empty if they hold something else; raises `ModelError` for what is no JSON."""
    with refusing("the record of this training is damaged", where, "copy the folder again, or start anew"):
        if len(data) > MOST_BYTES:
            raise ValueError(f"it has {len(data)} bytes, 1 MB is the most")
        found = json.loads(data)
    return found if isinstance(found, dict) else {}
