"""The log of a training: a CSV that can be read while it grows, and a picture of its curves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from toolkit.files import whole

CSV = "log.csv"
FIRST, LAST = ("step", "seconds", "learning_rate", "loss"), "score"
PNG = "curve.png"


class Log:
    """Rows `step, seconds, learning_rate, loss, <terms…>, score` in `folder/log.csv`; `score` is empty in most.

    A phase may bring terms of its own: then the table gets columns.
    """

    def __init__(self, folder: Path, upto: int) -> None:
        """Rows after step `upto`, of a training that was killed later than its checkpoint, are cut off."""
        self.path = folder / CSV
        self._kept = [row for row in read(self.path) if int(row["step"]) <= upto] if upto else []
        self._names = list(self._kept[0]) if self._kept else [*FIRST, LAST]
        self._write()

    def add(self, row: Mapping[str, float | int | str]) -> None:
        """Append one row."""
        new = [name for name in row if name not in self._names]
        if new:
            self._kept = read(self.path)
            self._names = [*self._names[:-1], *new, LAST]
            self._write()
        with self.path.open("a", newline="", encoding="utf8") as stream:
            csv.DictWriter(stream, self._names, restval="").writerow(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            )

    def _write(self) -> None:
        with whole.file(self.path) as made, made.open("w", newline="", encoding="utf8") as stream:
            writer = csv.DictWriter(stream, self._names, restval="")
            writer.writeheader()
            writer.writerows(self._kept)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a log; none if there is no log."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf8") as stream:
        return list(csv.DictReader(stream))


def draw(folder: Path, metric: str) -> None:
    """Write `curve.png`: loss (smoothed over 2 % of the run) and validation score against steps."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read(folder / CSV)
    losses = [(int(r["step"]), float(r["loss"])) for r in rows if r["loss"]]
    scores = [(int(r["step"]), float(r["score"])) for r in rows if r["score"]]
    if not losses:
        return
    figure = Figure(figsize=(8, 4), layout="constrained")
    left = figure.subplots()
    step, loss = np.array(losses).T
    width = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
    left.plot(step, loss, color="#c6d4e8", linewidth=0.8)
    left.plot(step[width - 1 :], smooth, color="#1f5fa8", linewidth=1.8, label="loss")
    left.set_yscale("log")
    left.set_xlabel("step")
    left.set_ylabel("loss", color="#1f5fa8")
    left.spines[["top"]].set_visible(False)
    if scores:
        right = left.twinx()
        right.plot(*np.array(scores).T, color="#c4551b", marker="o", markersize=3.5, linewidth=1.5)
        right.set_ylim(0, 1)
        right.set_ylabel(f"validation {metric}", color="#c4551b")
        right.spines[["top"]].set_visible(False)
    figure.set_canvas(FigureCanvasAgg(figure))
    with whole.file(folder / PNG) as made:
        figure.savefig(made, format="png")
