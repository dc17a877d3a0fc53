"""The page in a real browser: shown, clicked, dragged and typed into."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from skimage.io import imread

from tests.browser import Browser, browser
from tests.unit.view.looked_at import discs, result
from toolkit import io
from toolkit.steps.measure import joined, measure
from toolkit.values.frames import stack
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.thought import Marks
from toolkit.view.embedded import whole
from toolkit.view.found import other, results
from toolkit.view.pyramid import Cut
from toolkit.view.scene import Scene, scene
from toolkit.view.serve import served

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)>"
SIDE = 'document.querySelector("canvas[data-side]")'


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@contextmanager
def at(seen: Scene) -> Iterator[str]:
    with served(seen) as (server, address):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(tab: Browser, seen: Scene) -> Iterator[Browser]:
    """The served page; whoever made the browser complain fails."""
    with at(seen) as address:
        tab.complaints.clear()
        tab.asked.clear()
        tab.open(address)
        tab.settle()
        yield tab
        assert tab.complaints == []
        assert all(url.startswith(address) for url in tab.asked), tab.asked


def screen(tab: Browser, of: Scene, id_: int, axis: int = 0) -> tuple[float, float]:
    """Where the middle voxel of an object is in the window."""
    objects = of.sides[0].painted.instances
    voxels = objects.voxels(id_ - 1)
    where = np.unravel_index(voxels[len(voxels) // 2], of.shape)
    tab.run(f"view.slice = {[int(w) for w in where]}; tell('view', 'slice')")
    x, y = tab.run(
        f"(() => {{ const p = panes.find((p) => p.axis === {axis}); const b = p.canvas.getBoundingClientRect(); "
        f"const at = {[float(w) for w in where]}; "
        "return [b.x + p.at(1, at[ACROSS[p.axis][1]] + .5), b.y + p.at(0, at[ACROSS[p.axis][0]] + .5)]; })()"
    )
    return x, y


def picture(tab: Browser, folder: Path, name: str) -> NDArray[np.float64]:
    return imread(tab.shot(folder / f"{name}.png"))[..., :3].astype(float)


def apart() -> Instances:
    """Two objects that share voxels, and one alone."""
    planes = np.zeros((3, 200, 300), bool)
    planes[0, 20:100, 20:120], planes[1, 60:160, 80:200], planes[2, 100:180, 230:290] = True, True, True
    return Instances.from_planes(planes, [0.9, 0.5, 0.2], {"class": np.array([0, 1, 1])})


def test_a_page_of_its_own_is_shown_in_both_schemes_and_asks_nobody(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((300, 400), 40, 1))
    file = tmp_path / "page.html"
    file.write_text(whole(scene(results(out)[0])))
    tab.complaints.clear()
    tab.asked.clear()
    shots = {}
    for scheme in ("light", "dark"):
        tab.prefer(scheme)
        tab.open(file.as_uri())
        tab.settle()
        shots[scheme] = picture(tab, tmp_path, scheme)
    assert tab.complaints == []
    assert tab.asked == [file.as_uri()] * 2
    aside = slice(500, None), slice(1090, None)
    assert np.median(shots["light"][aside]) > 230
    assert np.median(shots["dark"][aside]) < 40
    stage = slice(100, 600), slice(100, 900)
    assert shots["light"][stage].std() > 20, "the image is there"
    assert np.abs(shots["light"][stage] - shots["dark"][stage]).mean() < 1
    tab.click(*tab.middle("#theme"))
    assert tab.run("document.documentElement.dataset.theme") == "light"
    tab.prefer("light")


def test_a_click_shows_the_row_of_an_object_and_the_next_click_the_one_below(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, apart())
    seen = scene(results(out)[0])
    with opened(tab, seen):
        x, y = screen(tab, seen, 3)
        tab.click(x, y)
        assert tab.run("document.querySelector('.row[aria-selected=true]').dataset.id") == "3"
        facts = tab.run("document.querySelector('.facts').innerText")
        assert re.search(r"score\s+0\.2", facts)
        there = tab.run("(() => { const p = panes[0], b = p.canvas.getBoundingClientRect(); "
                        "return [b.x + p.at(1, 100), b.y + p.at(0, 80)]; })()")  # fmt: skip
        ids = []
        for _ in range(3):
            tab.click(*there)
            ids.append(tab.run("chosen.id"))
        assert sorted(ids[:2]) == [1, 2]
        assert ids[2] == ids[0]
        tab.press("Escape")
        assert tab.run("chosen.id") == 0
        assert tab.run("document.querySelector('.chosen').hidden") is True


def test_outlines_fills_overlaps_and_layers_are_seen_and_can_be_hidden(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, apart())
    seen = scene(results(out)[0])
    with opened(tab, seen):
        tab.run("pictures[0].on = false; tell('pictures')")
        tab.settle()

        def light(y: int, x: int) -> int:
            """How bright the screen is at a voxel and a little below, without image."""
            tab.settle()
            tab.run("globalThis.corner = panes[0].canvas.getBoundingClientRect()")
            row, column = tab.run(f"[corner.y + panes[0].at(0, {y}), corner.x + panes[0].at(1, {x})].map(Math.round)")
            seen = picture(tab, tmp_path, "light")[row : row + 12, column : column + 12]
            return int((seen.max(-1) > 60).sum())

        assert light(40, 60) == 0, "inside, without a fill"
        assert light(80, 100) > 0, "an overlap is hatched"
        tab.press("v")
        assert light(80, 100) == 0
        tab.press("f")
        assert light(40, 60) + light(130, 150) + light(140, 260) > 0
        tab.press("h")
        assert light(40, 60) == light(80, 100) == 0
        tab.press("h")
        tab.run("look.hidden.add(0); look.hidden.add(1); refreshAll()")
        assert light(40, 60) == light(130, 150) == 0
        assert tab.run("document.querySelectorAll('aside .check').length") > 6


def test_the_table_is_sorted_and_filtered_and_the_picture_follows(tab: Browser, tmp_path: Path) -> None:
    objects = discs((300, 400), 60, 4)
    out, _ = result(tmp_path, objects)
    seen = scene(results(out)[0])
    with opened(tab, seen):
        tab.click(*tab.middle("[data-column=score]"))
        assert tab.run("document.querySelector('[data-column=score]').getAttribute('aria-sort')") == "ascending"
        order = tab.run("[...sides[0].rows]")
        assert order == (np.argsort(objects.scores, kind="stable") + 1).tolist()
        tab.click(*tab.middle("[data-column=score]"))
        first = int(tab.run("document.querySelector('.space .row').dataset.id"))
        assert objects.scores[first - 1] == objects.scores.max()
        before = picture(tab, tmp_path, "before")
        x, y = tab.middle(".histogram canvas")
        tab.drag((x, y), (x + 120, y))
        tab.settle()
        low, high = tab.run("[...sides[0].ranges.values()].map((r) => [r.low, r.high])[0]")
        kept = (objects.sizes >= low) & (objects.sizes <= high)
        assert 0 < kept.sum() < len(objects)
        assert tab.run("sides[0].rows.length") == kept.sum()
        assert f"{kept.sum()} of {len(objects)}" in tab.run("document.querySelector('.count').textContent")
        assert np.abs(before - picture(tab, tmp_path, "after"))[70:650, :1050].sum() > 0
        tab.click(*tab.middle(".bounds button"))
        assert tab.run("sides[0].rows.length") == len(objects)
        tab.press("/")
        for key in "2-5,9":
            tab.press(key)
        assert tab.run("[...sides[0].rows].sort((a, b) => a - b)") == [2, 3, 4, 5, 9]


def test_two_sets_are_linked(tab: Browser, tmp_path: Path) -> None:
    objects = apart()
    out, _ = result(tmp_path, objects)
    theirs, _ = result(tmp_path, objects.select(np.array([0, 2])), out="other.seg")
    seen = scene(results(out)[0], [other(theirs, "cells")])
    with opened(tab, seen):
        assert tab.run("panes.length") == 2
        x, y = screen(tab, seen, 3)
        tab.click(x, y)
        assert tab.run("[chosen.side, chosen.id, partner(0, 3)]") == [0, 3, 2]
        before = tab.run("panes.map((p) => [p.at(0, 10), p.at(1, 10)])")
        tab.drag((x, y), (x + 60, y + 30))
        after = tab.run("panes.map((p) => [p.at(0, 10), p.at(1, 10)])")
        assert np.subtract(after, before) == pytest.approx(np.array([[30, 60], [30, 60]]), abs=0.01)
        tab.click(*tab.middle(".tabs button:last-child"))
        assert tab.run("document.querySelector('.row[aria-selected=true]').dataset.id") == "2"


def test_volumes_are_seen_in_three_planes_that_meet_where_one_clicks(tab: Browser, tmp_path: Path) -> None:
    objects = discs((30, 80, 90), 12, 2, 14)
    out, _ = result(tmp_path, objects, channels=1)
    seen = scene(results(out)[0])
    with opened(tab, seen):
        tab.press("t")
        tab.settle()
        assert tab.run("panes.map((p) => p.axis)") == [0, 2, 1]
        for axis in (0, 1, 2):
            x, y = screen(tab, seen, 4, axis)
            tab.settle()
            tab.click(x, y)
            z, row, column = tab.run("view.slice")
            ids = objects.layers()[:, z, row, column]
            assert tab.run("chosen.id") in ids[ids > 0].tolist()
        shot = picture(tab, tmp_path, "planes")
        for y, x in (((80, 450), (50, 650)), ((80, 450), (730, 1000)), ((490, 650), (50, 650))):
            assert shot[slice(*y), slice(*x)].std() > 5
        z = tab.run("view.slice[0]")
        tab.press("]")
        assert tab.run("view.slice[0]") == z + 1


def test_zoom_keeps_what_is_under_the_pointer_and_contrast_changes_the_picture(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((600, 800), 40, 1))
    with opened(tab, scene(results(out)[0])):
        x, y = tab.middle("canvas[data-side]")
        spot = (f"(() => {{ const p = panes[0], b = p.canvas.getBoundingClientRect(); "
                f"return [p.voxel(0, {y + 40} - b.y), p.voxel(1, {x - 90} - b.x)]; }})()")  # fmt: skip
        before = tab.run(spot)
        tab.call("Input.dispatchMouseEvent", type="mouseWheel", x=x - 90, y=y + 40, deltaX=0, deltaY=-400)
        tab.settle()
        assert tab.run(spot) == pytest.approx(before, abs=0.6)
        dark = picture(tab, tmp_path, "dark")
        tab.run("(() => { const s = [...document.querySelectorAll('.channel .slider input')][1]; s.value = s.max / 8; "
                "s.dispatchEvent(new Event('input', { bubbles: true })); })()")  # fmt: skip
        tab.settle()
        assert picture(tab, tmp_path, "bright")[100:600, 100:900].mean() > dark[100:600, 100:900].mean()
        tab.press("0")
        tab.press("1")
        assert tab.run("pictures[0].channels[0].on") is False
        assert tab.run("document.querySelector('.channel legend input[type=checkbox]').checked") is False


def test_keys_work_after_a_click_on_a_switch_but_not_while_one_types(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((200, 300), 10, 1))
    with opened(tab, scene(results(out)[0])):
        tab.run("document.querySelectorAll('.check input')[1].focus()")
        assert tab.run("document.activeElement.type") == "checkbox"
        tab.press("f")
        assert tab.run("look.fill") is True
        tab.press("/")
        tab.press("f")
        assert tab.run("look.fill") is True, "that was a letter of the search"
        assert "three planes" not in tab.run("document.getElementById('help').textContent"), "it is flat"


def test_what_a_method_thought_is_switched_on_by_name(tab: Browser, tmp_path: Path) -> None:
    objects = apart()
    image = Image.from_array(np.zeros(objects.shape, np.uint8), calibrated=True)
    field = np.zeros((1, *objects.shape), np.float16)
    field[0, 100:180, 130:220] = 0.9
    ends = np.array([[20.0, 150.0], [20.0, 280.0]])
    marks = {"graph": Marks("lines", ends[:1], ends[1:], np.array([1.0])),
             "seeds": Marks("ellipses", np.array([[150.0, 40.0]]), np.array([[20.0, 30.0]]))}  # fmt: skip
    io.write(tmp_path / "o.seg", "cells", objects, image, fields={"entropy": field}, marks=marks)
    with opened(tab, scene(results(tmp_path / "o.seg")[0])):

        def brightness(y: int, x: int) -> float:
            tab.settle()
            tab.run("globalThis.corner = panes[0].canvas.getBoundingClientRect()")
            row, column = tab.run(f"[corner.y + panes[0].at(0, {y}), corner.x + panes[0].at(1, {x})].map(Math.round)")
            return float(picture(tab, tmp_path, "now")[row - 2 : row + 3, column - 2 : column + 3].max(-1).mean())

        places = {"entropy": (170, 210), "graph": (20, 200), "seeds": (170, 40)}
        before = {name: brightness(*place) for name, place in places.items()}
        tab.click(*tab.middle("[data-step=entropy] summary"))
        tab.click(*tab.middle("[data-step=entropy] .check input"))
        assert brightness(*places["entropy"]) > before["entropy"] + 100
        for name in ("graph", "seeds"):
            assert brightness(*places[name]) == pytest.approx(before[name], abs=1)
            tab.click(*tab.middle(f"[data-marks={name}] input"))
            assert brightness(*places[name]) > before[name] + 20
            tab.click(*tab.middle(f"[data-marks={name}] input"))
            assert brightness(*places[name]) == pytest.approx(before[name], abs=1)


def test_a_time_series_is_seen_frame_by_frame(tab: Browser, tmp_path: Path) -> None:
    objects = [discs((60, 70), n, n) for n in (3, 5, 4)]
    whole_series = stack(objects)
    voxels = np.random.default_rng(0).integers(0, 900, (3, 60, 70)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "film.tif", voxels, metadata={"axes": "TYX"}, ome=True)
    frames = io.frames(tmp_path / "film.tif")
    table = joined([measure(part, image) for part, image in zip(objects, frames, strict=True)])
    files = io.write(tmp_path / "f.seg", "film", whole_series, frames[0], table)
    record = {"recipe": {"name": "x"}, "options": {"axes": None, "voxel_size": None},
              "images": [{"input": str(tmp_path / "film.tif"), "files": [f.name for f in files]}]}  # fmt: skip
    (tmp_path / "f.seg" / "run.json").write_text(json.dumps(record))
    seen = scene(results(tmp_path / "f.seg")[0])
    assert (seen.shape, seen.along, len(seen.pictures)) == ((3, 60, 70), "t", 1)
    assert np.array_equal(seen.pictures[0].pyramid.read(Cut(0, 2, (1, 1), (0, 0), (60, 70)))[0], voxels[2])
    with opened(tab, seen):
        tab.run("choose(0, 1, true)")
        assert tab.run("view.slice[0]") == 0
        last = len(whole_series)
        tab.run(f"choose(0, {last}, true)")
        tab.settle()
        assert tab.run("view.slice[0]") == 2
        assert tab.run("document.querySelectorAll('[aria-label^=\"slice \"]').length") == 1
        assert tab.run("document.querySelector('.row[aria-selected=true]').dataset.id") == str(last)


def test_names_with_markup_are_text(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, apart())
    seen = scene(results(out)[0])
    hostile = Scene(HOSTILE, seen.shape, seen.voxel_size, True, "", seen.pictures, seen.sides, [HOSTILE])
    with opened(tab, hostile):
        assert tab.run("document.querySelector('h1').textContent") == HOSTILE
        assert tab.run("document.querySelector('.note').textContent") == HOSTILE
        assert tab.run("document.images.length") == 0


def test_the_policy_refuses_what_is_not_the_page(tab: Browser, tmp_path: Path) -> None:
    out, _ = result(tmp_path, apart())
    with at(scene(results(out)[0])) as address:
        tab.open(address)
        refused = tab.run("fetch('https://example.org/').then(() => false, () => true)")
        assert refused is True
        ran = tab.run("(() => { const s = document.createElement('script'); s.textContent = 'globalThis.ran = 1'; "
                      "document.body.append(s); return globalThis.ran ?? 0; })()")  # fmt: skip
        assert ran == 0
    tab.complaints.clear()
