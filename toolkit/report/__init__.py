"""An evaluation as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from toolkit.report.page import page

__all__ = ["page"]
