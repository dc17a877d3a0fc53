"""Every command that writes, small enough to be done many times, in a folder that `stocked` has filled."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tests import packages
from tests.battery.forkserver import ForkServer
from tests.models import see_through
from toolkit.testing.scenes import blobs

TRAINING = (
    "--recipe", "seen/recipe.yaml", "--steps", "4", "--device", "cpu", "--threads", "1", "--set", "training.batch=1",
    # What is set is not searched at the end.
    "--set", "postprocess.foreground=0.5", "--set", "postprocess.min_size=1",
)  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """A command, its outputs (`DISK` stands for where they are), and how it goes on after it was stopped."""

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    again: tuple[str, ...] = ()

    def at(self, disk: str, *more: str) -> list[str]:
        return [*(word.replace("DISK", disk) for word in self.arguments), *more]


WRITERS = {
    "run": Writer(
        ("run", "in", "--model", "seen", "--workers", "1", "--no-preview", "--show", "heads", "--also",
         "geojson,rois,imagej", "-o", "DISK/out"), ("out",), ("--resume",)),
    "run over it": Writer(
        ("run", "in", "--model", "seen", "--workers", "1", "--no-preview", "-o", "DISK/former", "--overwrite"),
        ("former",), ("--resume",)),
    "train": Writer(("train", "--data", "data", *TRAINING, "-o", "DISK/trained"), ("trained",), ("--resume",)),
    "learn": Writer(
        ("train", "--corrections", "DISK/taught", *TRAINING, "-o", "DISK/learnt"),
        ("learnt", "learnt.corrections"), ("--resume",)),
    "tune": Writer(
        ("tune", "DISK/tuned", "--data", "data:val", "--trials", "4", "--workers", "1"), ("tuned",)),
    "correct": Writer(("correct", "DISK/former"), ("former.corrections",)),
    "view": Writer(("view", "DISK/former", "-o", "DISK/page.html"), ("page.html",)),
    "export": Writer(
        ("export", "seen", "-o", "DISK/seen.zip", "--author", "A", "--licence", "CC0-1.0", "--image", "in/a.tif"),
        ("seen.zip",)),
    "add": Writer(("models", "add", "m.zip", "--name", "m"), ("home",)),
    "evaluate": Writer(
        ("evaluate", "data/masks", "data/masks", "--metric", "S", "--samples", "10", "--html", "DISK/r.html", "--csv",
         "DISK/csv", "--output", "DISK/r.json"), ("r.html", "csv", "r.json")),
}  # fmt: skip
"""`--resume` starts anew where there is nothing to resume."""
SLOW = {"export"}
"""What is looked at in a clean process each time before a byte is written, so that it is done less often."""


def stocked(folder: Path, disk: Path) -> None:
    """Data, images, models, what a user has beside the outputs, and on the disk a former output and a model."""
    for kind in ("images", "masks"):
        (folder / "data" / kind).mkdir(parents=True)
    (folder / "in").mkdir()
    for seed, name in enumerate("abcd"):
        scene = blobs((48, 64), count=4, seed=seed)
        for part in ("in", "data/images"):
            tifffile.imwrite(folder / part / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(folder / "data" / "masks" / f"{name}.tif", scene.truth.layers[0].astype(np.uint16))
    (folder / "data" / "splits.json").write_text(json.dumps({"train": ["a", "b"], "val": ["c", "d"]}))
    (folder / "data" / "meta.json").write_text(json.dumps({"axes": "YX", "masks": "YX", "licence": "CC0-1.0"}))
    packages.zipped(folder / "m.zip", packages.good())
    see_through(folder / "seen")
    disk.mkdir(exist_ok=True)
    see_through(disk / "tuned")
    (disk / "former.corrections").mkdir()
    tifffile.imwrite(disk / "former.corrections" / "a.tif", blobs((48, 64), count=3, seed=9).truth.layers[0])
    for name in ("out.old", "trained.old", "tuned.bak"):
        (disk / name).mkdir()
        (disk / name / "thesis.txt").write_text("precious")


def begun(server: ForkServer, folder: Path, disk: str, home: str) -> None:
    """The former output, and another one of which somebody has corrected an image."""
    words = [word for word in WRITERS["run over it"].at(disk) if word != "--overwrite"]
    done = server(*words, folder=folder, SEG_HOME=home)
    assert done.code == 0, done.err
    where = folder / disk
    shutil.copytree(where / "former", where / "taught")
    shutil.copytree(where / "former.corrections", where / "taught.corrections")
    done = server("correct", f"{disk}/taught", folder=folder, SEG_HOME=home)
    assert done.code == 0, done.err


def tree(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


def made(folder: Path, disk: Path, name: str) -> Any:
    """What a command has made, without what tells the time."""
    if name in ("run", "run over it"):
        out = disk / WRITERS[name].outputs[0]
        record = json.loads((out / "run.json").read_text())
        return tree(out) | {"run.json": [(image["objects"], image["files"]) for image in record["images"]]}
    if name == "add":
        return sorted(p.name for p in (folder / "home" / "objects").iterdir())
    if name == "export":
        return (disk / "seen.zip").is_file()
    files = {n: sha for n, sha in tree(disk).items() if n.split("/")[0] in WRITERS[name].outputs}
    # The log, the record and the last weights of a training hold seconds, and so does the record of tuning; the page of
    # an evaluation and the journal of corrections their date.
    timed = ("log.csv", "training.json", "last.safetensors", "tuned.json", "r.html", "journal.txt")
    # A folder of spreadsheets is nobody's alone, so a draft that a killed command left there stays.
    drafts = [n for n in files if name == "evaluate" and Path(n).name.startswith(".seg-")]
    return {n: sha for n, sha in files.items() if Path(n).name not in timed and n not in drafts}
