from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.unit.scenes import disturbed, found, labels, truth
from toolkit.builtin.metrics import METRICS
from toolkit.builtin.metrics.matched import F1, S
from toolkit.builtin.metrics.partitions import VOI
from toolkit.evaluation.evaluate import Evaluation, Pair, evaluate
from toolkit.plugins.metric import Metric
from toolkit.report import page
from toolkit.report.chart import Bars, Curve, curves, histogram
from toolkit.report.markup import Markup, join, tag
from toolkit.report.numbers import count, span, three, voxels
from toolkit.values.image import Image

VOID = {"meta", "br", "img"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Tree(HTMLParser):
    """Elements with their attributes; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def pictured(seed: int, shape: tuple[int, ...] = (40, 50), name: str = "") -> Pair:
    image = labels(seed, shape, 8, 7.0)
    grey = Image.from_array((image > 0) * 1000 + np.random.default_rng(seed).integers(0, 300, shape))
    return Pair(name or f"image {seed}", truth(image), found(disturbed(image, seed)), lambda: grey)


def made(pairs: list[Pair], metrics: tuple[Metric, ...] = (S(), F1(), VOI()), **more: object) -> tuple[Evaluation, str]:
    result = evaluate(pairs, metrics, samples=20, **more)
    return result, page(result, pairs, "runs/a.seg", "data:test")


def test_the_page_is_whole_and_needs_no_other_file() -> None:
    _, text = made([pictured(seed) for seed in range(5)])
    tree = Tree(text)
    policy = next(a["content"] for a in tree.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    assert not tree.all("script")
    assert not tree.all("link")
    targets = [a.get("href") or a.get("src") or "" for _, a in tree.elements]
    assert all(t.startswith(("#", "data:image/png;base64,")) for t in targets if t)
    assert not re.search(r"url\(|@import|https?://", text.replace("http-equiv", ""))


def test_the_page_can_be_read_by_a_screen_reader() -> None:
    _, text = made([pictured(seed) for seed in range(5)])
    tree = Tree(text)
    assert tree.all("html")[0]["lang"] == "en"
    levels = [int(name[1]) for name, _ in tree.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = [a["id"] for _, a in tree.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for svg in tree.all("svg"):
        assert svg["role"] == "img"
        assert svg.get("aria-label") or set(str(svg["aria-labelledby"]).split()) <= set(ids)
    for anchor in tree.all("a"):
        assert str(anchor["href"])[1:] in ids
    assert all(th["scope"] in ("col", "row") for th in tree.all("th"))


def test_names_of_images_are_never_markup() -> None:
    bad = '<script>alert("x")</script>'
    _, text = made([pictured(1, name=bad), pictured(2)])
    assert bad not in text
    assert "&lt;script&gt;" in text


def test_the_page_shows_what_was_evaluated() -> None:
    result, text = made([pictured(seed) for seed in range(5)], tuple(cls.model_validate({}) for cls in METRICS))
    for key, entry in result.summary.items():
        assert key in text
        if entry["mean"] is not None:
            assert three(entry["mean"]) in text
    missed = sum(int((image.true.kind == 1).sum()) for image in result.images)
    assert missed
    assert f"missed: {missed} true" in text
    assert "data:image/png;base64," in text


def test_a_comparison_shows_both_and_their_difference() -> None:
    pairs = [pictured(seed) for seed in range(6)]
    perfect = [Pair(p.name, p.truth, p.truth.instances) for p in pairs]
    result, text = made(pairs, against=perfect)
    assert "the other prediction" in text
    assert three(result.summary["S@0.50"]["difference"]["mean"], sign=True) in text


def test_volumes_are_shown_in_the_plane_that_shows_most() -> None:
    _, text = made([pictured(seed, (12, 30, 30)) for seed in range(3)])
    assert "z = " in text
    Tree(text)


@pytest.mark.parametrize("seen", [np.zeros((20, 20), np.int32), labels(3, (20, 20))])
@pytest.mark.parametrize("true", [np.zeros((20, 20), np.int32), labels(3, (20, 20))])
def test_pages_without_objects_or_without_errors_can_be_made(true: np.ndarray, seen: np.ndarray) -> None:
    _, text = made([Pair("only", truth(true), found(seen))])
    Tree(text)
    assert ("No image has an error" in text) == bool((true == seen).all())


def test_other_metrics_than_s_make_a_page_too() -> None:
    pairs = [pictured(seed) for seed in range(3)]
    result = evaluate(pairs, [F1(thresholds=(0.4,))], samples=10)
    text = page(result, pairs, "a", "b")
    assert "F1@0.40" in text
    assert "S at rising" not in text


def test_the_worst_images_by_an_error_are_those_with_most_of_it() -> None:
    pairs = [pictured(seed) for seed in range(4)]
    result = evaluate(pairs, [VOI(), S()], samples=0)
    for key, sign in (("VOI", -1), ("S@0.50", 1)):
        ordered = sign * result.values(key)[result.worst(key)]
        assert (np.diff(ordered) >= 0).all()


def test_the_same_evaluation_makes_the_same_page() -> None:
    pairs = [pictured(seed) for seed in range(3)]
    result = evaluate(pairs, [S()], samples=10)
    assert page(result, pairs, "a", "b") == page(result, pairs, "a", "b")


def test_markup_escapes_what_is_not_markup() -> None:
    assert tag("b", "<i>", tag("i", "&"), class_='a"b') == '<b class="a&quot;b">&lt;i&gt;<i>&amp;</i></b>'
    assert join(["<", Markup("<")]) == "&lt;<"
    assert tag("path", d="M0", stroke_width=1.5, fill=None) == '<path d="M0" stroke-width="1.5"/>'


def test_numbers_are_short() -> None:
    assert (three(0.9567), three(-0.5, sign=True), three(None), three(float("nan"))) == ("0.957", "−0.500", "–", "–")
    assert span([0.1, 0.2]) == "0.100 to 0.200"
    assert (count(1, "image"), count(1200, "image")) == ("1 image", "1,200 images")
    assert (voxels(940), voxels(12_000), voxels(3_100_000)) == ("940", "12k", "3.1M")


def test_charts_put_values_where_the_axes_say() -> None:
    chart = curves([Curve("a", [(0.0, 0.0), (1.0, 1.0)], "true")], "t", "x", "y")
    (u0, v0), (u1, v1) = ((float(c), float(r)) for c, r in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart))
    assert (u0, v0, u1, v1) == (48, 256, 504, 14)
    bars = histogram([Bars("n", [1, 5], "true")], ["a", "b"], [(0.0, "0")], "h", "x")
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', bars)][1:]
    assert heights[1] == pytest.approx(5 * heights[0], rel=0.01)


@pytest.mark.browser
def test_a_browser_shows_the_page_in_both_colour_schemes_without_a_complaint(tmp_path: Path) -> None:
    from skimage.io import imread

    assert CHROMIUM, "no Chromium is installed"
    file = tmp_path / "report.html"
    file.write_text(made([pictured(seed) for seed in range(4)])[1], encoding="utf-8")
    shots = {}
    for scheme, code in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{scheme}.png"
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--hide-scrollbars", "--enable-logging=stderr", f"--user-data-dir={tmp_path / scheme}",
             "--window-size=1200,2400", f"--blink-settings=preferredColorScheme={code}", f"--screenshot={shot}",
             file.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        assert "CONSOLE" not in done.stderr, done.stderr
        shots[scheme] = imread(shot)[..., :3].astype(float)
    assert shots["light"].shape == (2400, 1200, 3)
    assert np.median(shots["light"]) > 230
    assert np.median(shots["dark"]) < 40
    assert shots["light"].std() > 10
