"""Charts as inline SVG: curves with bands, histograms, stacked bars. Every point says its value when pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.report.markup import Markup, join, tag

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 14, 44


@dataclass(frozen=True)
class Curve:
    """A named line through `(x, y)`; `band` holds the ends of an interval at each x; `look` is a class of the style."""

    name: str
    points: Sequence[tuple[float, float]]
    look: str
    band: Sequence[tuple[float, float] | None] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """Maps values to pixels of the plot area."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.x, self.y
        return (
            LEFT + (x - x0) / ((x1 - x0) or 1) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - y0) / ((y1 - y0) or 1) * (HEIGHT - TOP - BOTTOM),
        )

    def axes(
        self, xs: Sequence[tuple[float, str]], ys: Sequence[tuple[float, str]], x_name: str, y_name: str
    ) -> Markup:
        """Grid, ticks and names."""
        parts = []
        for y, text in ys:
            _, v = self.at(self.x[0], y)
            parts.append(tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=v, y2=v))
            parts.append(tag("text", text, x=LEFT - 8, y=v + 4, text_anchor="end"))
        base = HEIGHT - BOTTOM
        parts.append(tag("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base))
        for x, text in xs:
            u, _ = self.at(x, self.y[0])
            parts.append(tag("line", class_="axis", x1=u, x2=u, y1=base, y2=base + 4))
            parts.append(tag("text", text, x=u, y=base + 18, text_anchor="middle"))
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(tag("text", x_name, class_="label", x=middle, y=HEIGHT - 6, text_anchor="middle"))
        parts.append(
            tag(
                "text",
                y_name,
                class_="label",
                text_anchor="middle",
                transform=f"translate(13 {HEIGHT / 2 - 14:.0f}) rotate(-90)",
            )
        )
        return join(parts)


def curves(lines: Sequence[Curve], title: str, x_name: str, y_name: str) -> Markup:
    """Lines over a common x, y from 0 to 1."""
    xs = sorted({x for line in lines for x, _ in line.points})
    frame = Frame((xs[0], xs[-1]), (0.0, 1.0))
    every = -(-len(xs) // 10)
    ticks = [(x, f"{x:.2f}".lstrip("0") if x < 1 else "1") for x in xs[::every]]
    body = [frame.axes(ticks, [(k / 5, f"{k / 5:.1f}") for k in range(6)], x_name, y_name)]
    for line in lines:
        ends = [(x, b) for (x, _), b in zip(line.points, line.band, strict=False) if b is not None]
        if ends:
            there = [frame.at(x, low) for x, (low, _) in ends]
            back = [frame.at(x, high) for x, (_, high) in reversed(ends)]
            body.append(tag("polygon", class_=f"band {line.look}", points=_path(there + back)))
    for line in lines:
        look = f"curve stroke {line.look}" + (" dash" if line.dashed else "")
        body.append(tag("polyline", class_=look, points=_path([frame.at(x, y) for x, y in line.points])))
        for x, y in line.points:
            u, v = frame.at(x, y)
            mark = "hollow" if line.dashed else "fill"
            body.append(
                tag(
                    "circle",
                    tag("title", f"{line.name}, {x:.2f}: {y:.3f}"),
                    class_=f"{mark} {line.look}",
                    cx=u,
                    cy=v,
                    r=3.5,
                )
            )
    words = "; ".join(
        f"{line.name} from {line.points[0][1]:.3f} at {line.points[0][0]:.2f} to {line.points[-1][1]:.3f} at "
        f"{line.points[-1][0]:.2f}"
        for line in lines
    )
    return _svg(title, words, body)


@dataclass(frozen=True)
class Bars:
    """A named series of a histogram: one count for each bin."""

    name: str
    counts: Sequence[int]
    look: str
    hollow: bool = False


def histogram(
    series: Sequence[Bars], labels: Sequence[str], ticks: Sequence[tuple[float, str]], title: str, x_name: str
) -> Markup:
    """Counts of N bins; `labels` name the bins, `ticks` are positions in [0, N] with their text."""
    bins = len(labels)
    top = max((n for s in series for n in s.counts), default=0) or 1
    step = _step(top)
    frame = Frame((0.0, float(bins)), (0.0, float(-(-top // step) * step)))
    marks = [(float(y), f"{y:,}") for y in range(0, int(frame.y[1]) + 1, step)]
    body = [frame.axes(ticks, marks, x_name, "objects")]
    for s in series:
        outline = [frame.at(0, 0)]
        for k, n in enumerate(s.counts):
            (u0, v), (u1, base) = frame.at(k, n), frame.at(k + 1, 0)
            outline += [(u0, v), (u1, v)]
            look = f"{'bar' if s.hollow else 'faint'} {s.look}"
            text = tag("title", f"{s.name}, {labels[k]}: {n:,}")
            if not s.hollow and n:
                body.append(tag("rect", text, class_=look, x=u0 + 0.75, y=v, width=u1 - u0 - 1.5, height=base - v))
        if s.hollow:
            body.append(tag("polyline", class_=f"outline {s.look}", points=_path([*outline, frame.at(bins, 0)])))
    words = "; ".join(f"{s.name}: {sum(s.counts):,} objects, most in {labels[_peak(s.counts)]}" for s in series)
    return _svg(title, words, body)


def stack(rows: Sequence[tuple[str, Sequence[tuple[str, int, str]]]], title: str) -> Markup:
    """One bar for each `(name, parts)`; a part is `(name, count, class of the style)`. All bars are equally long."""
    body, words = [], []
    height = 64 * len(rows)
    for k, (name, parts) in enumerate(rows):
        total, at = sum(n for _, n, _ in parts) or 1, 0.0
        body.append(tag("text", name, class_="label", x=0, y=64 * k + 14))
        for part, n, look in parts:
            if n:
                wide = n / total * WIDTH
                text = tag("title", f"{part}: {n:,} of {total:,}")
                body.append(
                    tag("rect", text, class_=f"fill {look}", x=at, y=64 * k + 22, width=max(wide - 2, 1.0), height=26)
                )
                at += wide
                words.append(f"{name}, {part}: {n:,}")
    return _svg(title, "; ".join(words), body, height)


def _svg(title: str, description: str, body: Sequence[Markup], height: int = HEIGHT) -> Markup:
    mark = "chart-" + "".join(c if c.isalnum() else "-" for c in title.lower())
    return tag(
        "svg",
        tag("title", title, id=f"{mark}-title"),
        tag("desc", description, id=f"{mark}-text"),
        *body,
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
        aria_labelledby=f"{mark}-title {mark}-text",
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _step(top: int) -> int:
    """A round distance between four to six marks."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if top <= 5 * size * factor:
                return size * factor
        size *= 10


def _peak(counts: Sequence[int]) -> int:
    return max(range(len(counts)), key=counts.__getitem__)
