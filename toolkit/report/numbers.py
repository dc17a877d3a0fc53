"""Numbers as a reader wants them."""

from __future__ import annotations

MISSING = "–"


def three(value: float | None, sign: bool = False) -> str:
    """Three decimals, a dash for what is undefined."""
    if value is None or value != value:
        return MISSING
    text = f"{value:{'+' if sign else ''}.3f}"
    return text.replace("-", "−")


def span(interval: list[float] | None) -> str:
    """The two ends of an interval."""
    return "" if interval is None else f"{three(interval[0])} to {three(interval[1])}"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 image`, `12,305 objects`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def voxels(size: float) -> str:
    """A size such as 940, 12k or 3.1M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if size >= limit:
            short = f"{size / limit:.1f}".removesuffix(".0")
            return short + unit
    return f"{size:.0f}"
