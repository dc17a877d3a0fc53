"""Cases of the fuzz: what people get from others, bent, and the command that reads it."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

from tests import packages
from tests.battery import bad_images, sound
from tests.battery.bending import bent
from tests.battery.bent import zipped
from tests.battery.case import Case
from tests.battery.damaged import mutated
from tests.battery.fuzzed_results import result
from tests.models import see_through


def case(seed: int) -> Case:
    """The case of this number."""
    rng = random.Random(seed)
    weighed = [kind for kind, weight in KINDS.items() for _ in range(weight)]
    return weighed[seed % len(weighed)](rng, seed)


@cache
def _package(kind: str) -> dict[str, bytes]:
    if kind in ("onnx", "pytorch_state_dict"):
        return packages.good(kind)
    made = sound.good("")["good package of format 0.4"][0] if kind == "0.4" else sound.unet_package(kind == "old unet")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _description(rng: random.Random, _: int) -> Case:
    files = _package(rng.choice(("onnx", "onnx", "pytorch_state_dict", "0.4", "unet")))
    plain = bent(yaml.safe_load(files["rdf.yaml"]), rng)
    text = yaml.safe_dump(plain, allow_unicode=rng.random() < 0.5, sort_keys=False)
    return _model({**files, "rdf.yaml": text.encode("utf8", "surrogatepass")}, rng)


def _own(rng: random.Random, _: int) -> Case:
    """A package that this toolkit might have written: its recipe is data of others."""
    files = _package("onnx")
    weights = b"\x02\0\0\0\0\0\0\0{}"
    plain = yaml.safe_load(files["rdf.yaml"])
    recipe = yaml.safe_load(RECIPE)
    plain["config"] = {"toolkit": bent({
        "schema": "toolkit.package/1", "owner": "builtin", "recipe": recipe, "plugins": {"builtin": "0"},
        "weights": {"source": "w.safetensors", "sha256": packages.sha256(weights)},
        "test": {"dtype": "float32", "voxel_size": [1, 1], "sha256": "0", "count": 3},
    }, rng)}  # fmt: skip
    return _model({**files, "w.safetensors": weights, "rdf.yaml": yaml.safe_dump(plain).encode()}, rng)


def _model(files: dict[str, bytes], rng: random.Random) -> Case:
    verb = rng.choice(("test", "test", "add", "show"))
    return Case(("models", verb, "model.zip"), {"model.zip": zipped(files)}, environment={"SEG_HOME": "home"})


def _tensor(rng: random.Random, seed: int) -> Case:
    """One file of a package with other bytes, whose sha256 is right: its parser sees it."""
    files = dict(_package(rng.choice(("onnx", "onnx", "unet", "old unet"))))
    name = rng.choice(sorted(n for n in files if n not in ("rdf.yaml", "out.npy", "net.py")))
    files[name] = mutated(files[name], seed)
    plain = yaml.safe_load(files["rdf.yaml"])
    parts = [*plain["weights"].values(), *(t["test_tensor"] for t in (*plain["inputs"], *plain["outputs"]))]
    for part in parts:
        part["sha256"] = packages.sha256(files[part["source"]])
    return _model({**files, "rdf.yaml": yaml.safe_dump(plain).encode()}, rng)


def _archive(rng: random.Random, seed: int) -> Case:
    whole = zipped(_package(rng.choice(("onnx", "unet"))))
    made = _model({}, rng)
    return Case(made.arguments, {"model.zip": mutated(whole, seed)}, environment=made.environment)


RECIPE = """
schema: toolkit.recipe/1
name: fuzz
input: {channels: [0], spacing_um: null}
normalise: {kind: percentile, low: 1, high: 99.8}
network: {kind: unet}
loss: {kind: bce_dice}
auxiliary: null
postprocess: {kind: watershed}
tiling: {window: [64, 64], overlap: 16}
training: {crop: [64, 64], batch: 4, steps: 20}
"""


def _recipe(rng: random.Random, seed: int) -> Case:
    if rng.random() < 0.5:
        text = yaml.safe_dump(bent(yaml.safe_load(RECIPE), rng)).encode()
    else:
        text = mutated(RECIPE.encode(), seed)
    if rng.random() < 0.3:  # the folder of a training that somebody gives on
        files = {"run/recipe.yaml": text, "run/best.safetensors": b"\x02\0\0\0\0\0\0\0{}"}
        return Case(("models", "add", "run"), files, environment={"SEG_HOME": "home"})
    return Case(("show", "recipe.yaml"), {"recipe.yaml": text})


def _image() -> bytes:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, bad_images.SCENE, photometric="minisblack")
    return stream.getvalue()


RUN = ("run", "a.tif", "--plugin", "good", "--workers", "1", "--device", "cpu", "--no-preview", "-o", "out")


@cache
def _seen() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return {f"seen/{path.name}": path.read_bytes() for path in see_through(Path(folder) / "seen").iterdir()}


def _trained(rng: random.Random, _: int) -> Case:
    """The folder of a training that somebody gives on, used."""
    files = {"a.tif": _image(), **_seen()}
    plain = bent(yaml.safe_load(files["seen/recipe.yaml"]), rng)
    files["seen/recipe.yaml"] = yaml.safe_dump(plain).encode()
    return Case(("run", "a.tif", "--model", "seen", *RUN[4:]), files, kept=("out",))


def _record(rng: random.Random, seed: int) -> Case:
    about = {
        "schema": "toolkit.run/1",
        "model": {"reference": "good:good", "owner": "good", "name": "good", "sha256": "0" * 64},
        "recipe": {"schema": "toolkit.recipe/1", "name": "good", "network": {"kind": "good"}, "loss":
                   {"kind": "bce_dice"}, "postprocess": {"kind": "good"}, "tiling": {"window": [64, 64], "overlap": 16},
                   "training": {"crop": [64, 64]}},
        "options": {"axes": None, "voxel_size": None, "workers": 1, "block": None, "preview": True, "features": [],
                    "parquet": False, "min_score": 0.0},
        "device": "cpu", "versions": {}, "images": [{"input": "a.tif", "files": []}],
    }  # fmt: skip
    text = json.dumps(bent(about, rng)).encode() if rng.random() < 0.7 else mutated(json.dumps(about).encode(), seed)
    return Case(("run", "--from", "run.json", "--dry-run", "--device", "cpu", "--workers", "1"),
                {"a.tif": _image(), "run.json": text})  # fmt: skip


def _dataset(rng: random.Random, seed: int) -> Case:
    meta = {"axes": "YX", "masks": "YX", "channels": ["dna"], "voxel_size_um": [0.5, 0.5], "licence": "CC0-1.0"}
    splits = {"train": ["a"], "test": ["b"]}
    files = {"data/images/a.tif": _image(), "data/images/b.tif": _image()}
    for name, about in (("meta.json", meta), ("splits.json", splits)):
        plain = bent(about, rng) if rng.random() < 0.7 else about
        text = json.dumps(plain).encode()
        files[f"data/{name}"] = mutated(text, seed) if rng.random() < 0.2 else text
    verb = rng.choice((("check", "data", "--workers", "1"), ("run", "data", *RUN[2:-2], "--dry-run"),
                       ("run", "data:train", *RUN[2:-2], "--dry-run")))  # fmt: skip
    return Case(verb, files)


def _journal(rng: random.Random, seed: int) -> Case:
    """The work folder of a run that was stopped, with other bytes in what it keeps there."""
    files = {str(p.relative_to(STOPPED[-1])): p.read_bytes() for p in STOPPED[-1].glob("out.work/**/*") if p.is_file()}
    ours = sorted(name for name in files if name.count("/") == 1)
    for name in rng.sample(sorted(files), 1) + rng.sample(ours, rng.choice((0, 1, 1))):
        files[name] = mutated(files[name] or b"x", seed)
    return Case(("run", str(STOPPED[-1] / "a.tif"), *RUN[2:], "--resume"), files, kept=("out", "out.work"))


STOPPED: list[Path] = []
"""Where a run was stopped, by `stop`."""
KINDS: dict[Callable[[random.Random, int], Case], int] = {
    _description: 8, _own: 2, _tensor: 4, _archive: 2, _recipe: 3, _trained: 2, _record: 2, _dataset: 2, _journal: 1,
    result: 6,
}  # fmt: skip
"""Each kind, and how many of 32 cases are of it."""


def stop(folder: Path, plugins: Path) -> None:
    """Begin a run in `folder` and stop it when all is made but nothing published."""
    folder.mkdir()
    (folder / "a.tif").write_bytes(_image())
    script = (
        "import sys; from toolkit.running.workspace import Workspace; from toolkit.cli import main\n"
        "def stopped(*_): raise KeyboardInterrupt\n"
        "Workspace.publish = stopped; main(sys.argv[1:])"
    )
    path = os.pathsep.join([str(plugins), *sys.path])
    command = [sys.executable, "-c", script, "run", str(folder / "a.tif"), *RUN[2:]]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert (folder / "out.work" / "done.txt").is_file(), done.stderr
    STOPPED.append(folder)
