"""What targets and losses share: where nothing is known, and how classes weigh."""

from __future__ import annotations

from typing import Literal

UNKNOWN = -1
"""Class of a voxel that takes no part."""
Balance = Literal["none", "reference"]
