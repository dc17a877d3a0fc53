"""`seg models gc`."""

from __future__ import annotations

from toolkit.cli import console


def gc(as_json: console.Json = False) -> None:
    """Free the space of models that no name refers to.

    Example: seg models gc
    """
    from toolkit.registry.store import Store

    freed = Store().gc()
    if as_json:
        console.document([{"sha256": sha256, "bytes": size} for sha256, size in freed])
    else:
        console.results().print(f"{len(freed)} packages, {sum(size for _, size in freed) / 1e6:.1f} MB freed")
