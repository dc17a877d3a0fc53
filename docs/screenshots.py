"""`python docs/screenshots.py [NAME…]` makes the pictures of the documents: `seg view` in Chromium, commands, napari.

Images are those of tests/golden (CC0), and generated ones where nothing free shows it. Pictures are of few colours and
small; more than `MOST` bytes are an error. Without napari its picture stays as it is, which is said.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from importlib.util import find_spec
from pathlib import Path

import tifffile
from PIL import Image as Picture

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import Browser, browser  # noqa: E402
from toolkit.demo.filaments import filaments  # noqa: E402
from toolkit.testing.scenes import blobs  # noqa: E402

OUT = ROOT / "docs" / "pictures"
NUCLEI = ROOT / "tests" / "golden" / "bbbc039"
MOST, TOGETHER = 150_000, 1_000_000
"""Bytes of a picture, and of all."""
COLOURS = 128
WIDE, HIGH = 1200, 760


def seg(folder: Path, *words: str) -> str:
    """What a command says, as on a screen of 108 columns."""
    environment = {**os.environ, "COLUMNS": "108", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-m", "toolkit.cli", *words], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)  # fmt: skip
    return f"$ seg {' '.join(words)}\n{done.stdout}"


def kept(name: str, png: bytes) -> None:
    """A picture of few colours."""
    full = Picture.open(io.BytesIO(png)).convert("RGB")
    few = full.quantize(COLOURS, Picture.Quantize.FASTOCTREE, dither=Picture.Dither.NONE)
    OUT.mkdir(exist_ok=True)
    few.save(OUT / f"{name}.png", optimize=True)
    size = (OUT / f"{name}.png").stat().st_size
    sys.stdout.write(f"{name}.png: {size} bytes\n")
    if size > MOST:
        sys.exit(f"{name}.png is larger than {MOST} bytes: show less, or smaller")


@contextmanager
def viewed(tab: Browser, *words: str) -> Iterator[Browser]:
    """A tab with what `seg view` serves: of files in this folder, for the page says where they are."""
    from toolkit.view.found import other, results
    from toolkit.view.scene import scene
    from toolkit.view.serve import served

    one = results(Path(words[0]))[0]
    with served(scene(one, [other(Path(word), one.name) for word in words[1:]])) as (server, address):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            tab.open(address, WIDE, HIGH)
            tab.settle()
            yield tab
            tab.settle()
        finally:
            server.shutdown()
            thread.join()


def placeless(name: str, said: str) -> None:
    """Refuse to show a path of this machine."""
    if tempfile.gettempdir() in said or str(ROOT) in said:
        sys.exit(f"{name}.png would show a path of this machine: name files from within their folder")


def shot(tab: Browser, name: str, folder: Path) -> None:
    """What the window shows."""
    tab.settle()
    placeless(name, tab.run("document.body.innerText"))
    kept(name, tab.shot(folder / f"{name}.png").read_bytes())


def terminal(tab: Browser, name: str, title: str, said: str, folder: Path) -> None:
    """What a command said, drawn by rich."""
    placeless(name, said)
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=108, file=io.StringIO(), force_terminal=True)
    for line in said.splitlines():
        console.print(Text(line, style="bold" if line.startswith("$") else ""))
    file = folder / f"{name}.html"
    svg = console.export_svg(title=title, code_format=_format())
    file.write_text(f'<!DOCTYPE html><html data-ready="true"><body style="margin:0">{svg}</body></html>')
    tab.open(file.as_uri(), 1040, 900)
    box = tab.run("(() => { const b = document.querySelector('svg').getBoundingClientRect(); return b.height; })()")
    tab.call("Emulation.setDeviceMetricsOverride", width=1040, height=int(box), deviceScaleFactor=1, mobile=False)
    kept(name, tab.shot(folder / f"{name}.png").read_bytes())


def _format() -> str:
    """The picture of rich without fonts of others."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    terminal = 'class="rich-terminal"'
    return plain.replace("Fira Code", "DejaVu Sans Mono").replace(terminal, f'{terminal} width="1040"')


def made(folder: Path) -> None:
    """The images, and results of them."""
    source = next((NUCLEI / "images").iterdir())
    for part, name in (("images", "nuclei.tif"), ("masks", "truth.tif")):
        tifffile.imwrite(folder / name, tifffile.imread(NUCLEI / part / source.name))
    tifffile.imwrite(folder / "fibres.tif", filaments((300, 400), 14, 3)[0])
    volume = blobs((40, 128, 128), 30, (9, 14), 1).image.read()[0]
    tifffile.imwrite(folder / "volume.tif", volume, imagej=True, metadata={"axes": "ZYX", "spacing": 0.5, "unit": "um"},
                     resolution=(2.0, 2.0))  # fmt: skip


def run(tab: Browser, folder: Path) -> None:
    """The command line."""
    terminal(tab, "run", "seg run", seg(folder, "run", "nuclei.tif"), folder)


def view(tab: Browser, folder: Path) -> None:
    """A result, its table, and an object that was chosen."""
    with viewed(tab, "nuclei.seg"):
        tab.press("f")
        tab.run("choose(0, sides[0].rows[16])")
        shot(tab, "view", folder)


def truth(tab: Browser, folder: Path) -> None:
    """A result beside the truth, in the dark."""
    tab.prefer("dark")
    with viewed(tab, "nuclei.seg", "truth.tif"):
        tab.press("f")
        tab.run("document.querySelector('[data-column=iou]').click()")
        shot(tab, "truth", folder)
    tab.prefer("light")


def overlap(tab: Browser, folder: Path) -> None:
    """Filaments that cross."""
    seg(folder, "run", "fibres.tif", "--plugin", "ppp", "--model", "ppp-filaments")
    with viewed(tab, "fibres.seg"):
        tab.press("f")
        shot(tab, "overlap", folder)


def volume(tab: Browser, folder: Path) -> None:
    """Three planes."""
    seg(folder, "run", "volume.tif", "--plugin", "embedseg")
    with viewed(tab, "volume.seg"):
        tab.press("t")
        shot(tab, "volume", folder)


def thoughts(tab: Browser, folder: Path) -> None:
    """What a method thought."""
    seg(folder, "run", "nuclei.tif", "-o", "thought.seg", "--show", "heads,seeds,selection")
    with viewed(tab, "thought.seg"):
        tab.run("document.querySelector('[data-step=head_seediness] input').click()")
        tab.run("for (const box of document.querySelectorAll('[data-marks] input')) box.click()")
        tab.run("view.scale = 3.5; view.centre = [0.5, 230, 590]; tell('view')")
        shot(tab, "thoughts", folder)


def suggest(tab: Browser, folder: Path) -> None:
    """Correct and learn, on the command line."""
    (folder / "images").mkdir()
    for name, path in zip("abcd", sorted((NUCLEI.with_name("dsb2018") / "images").iterdir()), strict=False):
        shutil.copy(path, folder / "images" / f"{name}.tif")
    seg(folder, "run", "images", "-o", "cells.seg", "--no-preview")
    said = seg(folder, "suggest", "cells.seg", "-n", "3")
    (folder / "cells.seg.corrections").mkdir()
    labels = tifffile.imread(folder / "cells.seg" / "a.labels.tif")
    labels[labels == 3] = 0
    tifffile.imwrite(folder / "cells.seg.corrections" / "a.tif", labels)
    said += "\n" + seg(folder, "correct", "cells.seg", "--whole", "--by", "Ada")
    terminal(tab, "suggest", "seg suggest, seg correct", said, folder)


def napari(_tab: Browser, folder: Path) -> None:
    """The two widgets of napari, which need no graphics driver."""
    if find_spec("napari") is None:
        sys.stdout.write("napari.png: napari is not installed, the picture stays as it is\n")
        return
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from napari.components import ViewerModel
    from napari.qt import get_qapp
    from qtpy.QtWidgets import QApplication, QHBoxLayout, QWidget

    from toolkit.correct.result import opened
    from toolkit.napari.layers import shown
    from toolkit.napari.widget import Correct, Segment

    get_qapp()
    viewer, result = ViewerModel(), opened("nuclei.seg")
    for data, about, kind in shown(result, result.images[0]):
        getattr(viewer, f"add_{kind}")(data, **about)
    both, row = QWidget(), QHBoxLayout()
    segment, correct = Segment(viewer), Correct(viewer)
    segment.image.value, correct.objects.value = viewer.layers[0], viewer.layers[1]
    segment.segment()
    end = time.monotonic() + 60
    while (segment._busy or not segment.fields) and time.monotonic() < end:
        QApplication.processEvents()
    assert segment.fields, segment.said.value
    for widget in (segment, correct):
        row.addWidget(widget.native)
    both.setLayout(row)
    both.resize(900, 420)
    both.grab().save(str(folder / "napari.png"))
    kept("napari", (folder / "napari.png").read_bytes())


PICTURES: dict[str, Callable[[Browser, Path], None]] = {
    one.__name__: one for one in (run, view, truth, overlap, volume, thoughts, suggest, napari)
}


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(PICTURES)
    if odd := set(wanted) - PICTURES.keys():
        sys.exit(f"no such picture: {', '.join(sorted(odd))}; there are {', '.join(PICTURES)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        here = Path(scratch)
        made(here)
        if not {"run"} & {*wanted}:
            seg(here, "run", "nuclei.tif")
        with chdir(here), browser(here / "profile") as one_tab:
            one_tab.prefer("light")
            for name in wanted:
                PICTURES[name](one_tab, here)
    if sum(path.stat().st_size for path in OUT.glob("*.png")) > TOGETHER:
        sys.exit(f"the pictures are larger than {TOGETHER} bytes together")
