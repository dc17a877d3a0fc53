"""The documents as somebody who types what they say: their blocks, and a folder of the files that they name."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from tests import samples
from tests.door import Door
from tests.flow.test_array import SBATCH
from tests.models import bright, see_through
from toolkit.cli import main
from toolkit.io.omeformat import OmeFormat
from toolkit.io.zarrimage import write_image
from toolkit.testing.scenes import Scene, blobs, worms
from toolkit.values.image import Image

ROOT = Path(__file__).resolve().parents[1]
NUCLEI = ROOT / "tests" / "golden" / "dsb2018"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHIPPED = ("cpv", "embedseg", "ppp")
SECONDS = 300
"""That a line may take in a process of its own."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of what can be executed."""
    return [(m[1], m[2]) for m in BLOCK.finditer(page.read_text("utf8"))]


def files(folder: Path, door: Door) -> None:
    """What the pages name: images, data sets, a volume, a model."""
    names = sorted(p.name for p in (NUCLEI / "images").iterdir())
    shape = (160, 176)
    cut = {n: [tifffile.imread(NUCLEI / part / n)[:160, :176] for part in ("images", "masks")] for n in names}
    full = [n for n in names if cut[n][0].shape == shape and len(np.unique(cut[n][1])) > 6]
    for part in ("images", "masks", "data/images", "data/masks", "few", "crossing"):
        (folder / part).mkdir(parents=True)
    for name, source in zip(("nuclei", "cells", "image"), full, strict=False):
        tifffile.imwrite(folder / f"{name}.tif", cut[source][0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", cut[source][1])
    for name, source in zip("abcd", full[:4], strict=True):
        tifffile.imwrite(folder / "data" / "images" / f"{name}.tif", cut[source][0])
        tifffile.imwrite(folder / "data" / "masks" / f"{name}.tif", cut[source][1])
        tifffile.imwrite(folder / "images" / f"{name}.tif", cut[source][0])
    (folder / "data" / "meta.json").write_text(json.dumps({"axes": "YX", "masks": "YX", "licence": "CC0-1.0"}))
    splits = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    (folder / "data" / "splits.json").write_text(json.dumps(splits))
    shutil.rmtree(folder / "crossing")
    samples.write(folder / "crossing", {s: {s: worms((96, 96), seed=k)} for k, s in enumerate(("train", "val"))}, True)
    samples.write(folder / "volumes", {s: {s: blobs((16, 48, 48), seed=k)} for k, s in enumerate(("train", "val"))})
    fibres: Scene = worms((96, 96), seed=3)
    tifffile.imwrite(folder / "fibres.tif", fibres.image.read()[0])
    tifffile.imwrite(folder / "volume.tif", blobs((12, 64, 64), seed=4).image.read()[0], metadata={"axes": "ZYX"})
    form = OmeFormat("0.5")
    write_image(form.root(folder / "big.ome.zarr"), Image.from_array(bright((56, 60), 0, 9)), None, [(1, 1)], form)
    see_through(folder / "seen")
    door.write(folder / "seg")
    words = ["export", "seen", "-o", "nuclei.zip", "--author", "A", "--image", "nuclei.tif"]
    subprocess.run([folder / "seg", *words], cwd=folder, check=True, capture_output=True)
    (folder / "seg").unlink()


def _there(scheduler: str) -> None:
    """Wait as somebody does who looks whether the worker has come."""
    from distributed import Client

    with Client(scheduler, timeout=60) as client:
        client.wait_for_workers(1, timeout=60)


class Reader:
    """Types the blocks of a page into `folder`; `seg` is that of the `door`."""

    def __init__(self, folder: Path, page: Path, door: Door) -> None:
        self.folder, self.page = folder, page
        self.said: list[str] = []
        self._names: dict[str, object] = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self._programs(door)

    def _programs(self, door: Door) -> None:
        """`seg`, `pip`, `python` and `sbatch` as they are typed."""
        site, bin_ = self.folder / "site", self.folder / "bin"
        bin_.mkdir()
        python = shlex.quote(sys.executable)
        pip = f'{python} -m pip "$@" --quiet --no-deps --no-index --no-build-isolation --target {site}'
        words = {
            # What is typed as editable is a folder, which it stays for a `pip` that copies it.
            "pip": f'for a; do shift; [ "$a" = -e ] && a=--upgrade; [ -d "$a" ] && a=$(realpath "$a"); '
            f'set -- "$@" "$a"; done; exec {pip}',
            "python": f'[ "$2" = build ] && exec {python} -m hatchling build -t wheel; exec {python} "$@"',
            "dask": f'exec {python} -m dask "$@"',
        }  # fmt: skip
        for name, line in words.items():
            path = bin_ / name
            path.write_text(f"#!/bin/bash\n{line}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        door.write(bin_ / "seg")
        (bin_ / "sbatch").write_text(SBATCH.format(python=sys.executable))
        (bin_ / "sbatch").chmod(0o755)
        places = os.pathsep.join([str(site), *filter(None, sys.path)])
        self._environment = {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": places,
                             "SEG_HOME": str(self.folder / "home")}  # fmt: skip

    def read(self, before: Callable[[Path, str], None] = lambda *_: None) -> None:
        """All blocks, in their order."""
        try:
            for language, text in blocks(self.page):
                if language == "python":
                    code = re.sub(r"minutes=\d+", "steps=2", text)
                    exec(compile(code, f"{self.page.name}, a block", "exec"), self._names)
                    continue
                for typed in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                    line = re.sub(r"\s+# .*$", "", typed)
                    before(self.folder, line)
                    self._type(line)
                    self.said.append(line)
        finally:
            for process in self._running:
                process.send_signal(signal.SIGTERM)
                process.wait(20)

    def _type(self, line: str) -> None:
        words = shlex.split(line.removesuffix("&").replace("--nworkers 4", "--nworkers 1 --no-nanny"))
        if words[0] == "make":
            assert re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        elif words[:2] == ["pip", "install"] and any("seg-toolkit" in w or w == "-c" for w in words):
            self._requirement(words)
        elif line.endswith("&"):
            self._running.append(subprocess.Popen(words, env=self._environment, cwd=self.folder))
            if words[:2] == ["dask", "worker"]:
                _there(words[2])
        elif words[:2] == ["seg", "view"] and "-o" not in words:
            self._served(words)
        elif words[0] == "seg" and "--napari" in words:
            assert main(words[1:]) == 2, "there is no napari here, so the line of pip is said"
        elif words[0] == "seg" and words[1] != "export" and not self._installed and not re.search(r"[>|]|&&|\*", line):
            assert main(shlex.split(shortened(line))[1:]) == 0, line
        else:
            done = subprocess.run(["bash", "-e", "-c", shortened(line)], env=self._environment, cwd=self.folder,
                                  capture_output=True, text=True, check=False, timeout=SECONDS)  # fmt: skip
            assert done.returncode == 0, f"{line}: {done.stdout[-1500:]}{done.stderr[-1500:]}"

    @property
    def _installed(self) -> bool:
        """Whether the reader has installed something, which this process does not see."""
        return (self.folder / "site").exists()

    def _served(self, words: list[str]) -> None:
        process = subprocess.Popen(words, env=self._environment, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert "http://127.0.0.1:" in process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        assert process.returncode == 0, words

    def _requirement(self, words: list[str]) -> None:
        """What cannot be fetched here is at least there by that name."""
        about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for word in words[2:]:
            if extra := re.fullmatch(r"seg-toolkit\[(\w+)\]", word):
                assert extra[1] in about["optional-dependencies"], word
            elif word.startswith(("./", "constraints")):
                assert list(ROOT.glob(word.removeprefix("./") or "pyproject.toml")), word


def shortened(line: str) -> str:
    """The same in seconds: a training of minutes is one of two steps and of a crop each, a search one of three trials;
    a training begins with what is shipped, so that what follows finds something. A method of the page's own has learnt
    nothing then, and is exported all the same."""
    short = re.sub(r"--minutes \d+", "--steps 2", line)
    if "seg tune" in short and "--trials" not in short:
        short += " --trials 3"
    if "seg export" in short:
        short += " --force"
    if "seg train" in short and "--steps" not in short:
        short += " --steps 2"
    if (match := re.search(r"seg train --plugin (\w+)", short)) and match[1] in SHIPPED and "--model" not in short:
        short += f" --model {match[1]}" if "--recipe" not in short and "--set" not in short else ""
    return short + " --set training.batch=1" * ("seg train" in short)
