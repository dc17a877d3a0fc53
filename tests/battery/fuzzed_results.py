"""Cases of the fuzz about a result and its corrections that somebody gives on: bent, then looked at, merged, asked."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import tifffile

from tests.battery.bending import bent
from tests.battery.case import Case
from tests.battery.damaged import mutated
from tests.models import bright, see_through
from toolkit.files.journal import row_of, signed

GIVEN: list[Path] = []
"""Where a result and its corrections lie, by `give`."""
HISTORY = "out.corrections/history/"
VERBS = (
    ("view", "out", "-o", "page.html"), ("view", "out/a.zarr", "-o", "page.html"), ("correct", "out"),
    ("correct", "out", "--whole", "--by", "Ada"), ("correct", "out", "--undo"),
    ("suggest", "out", "--turns", "1", "--device", "cpu"),
)  # fmt: skip
TABLES = (
    "image,what\na,whole\n", "image,what\na,2 3\n", 'image,what\na,"0:9,0:9"\n', f"image,what\na,{'9' * 5000}\n",
    f'image,what\na,"{"9" * 5000}:,:"\n', "image,what\n../a,whole\n", "image\na\n", "what,image\n,\n", "\0",
    "image,what\na\n",
)  # fmt: skip
"""Tables of what is right."""


def give(folder: Path) -> None:
    """A result of two images, one of which was corrected, in `folder`."""
    (folder / "in").mkdir(parents=True)
    for seed, name in enumerate("ab"):
        tifffile.imwrite(folder / "in" / f"{name}.tif", bright((32, 40), seed))
    see_through(folder / "seen")
    path = os.pathsep.join(sys.path)

    def seg(*words: str) -> None:
        command = [sys.executable, "-m", "toolkit.cli", *words]
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    seg("run", str(folder / "in"), "--model", str(folder / "seen"), "-o", "out", "--workers", "1", "--no-preview",
        "--device", "cpu", "--show", "heads")  # fmt: skip
    labels = np.asarray(tifffile.imread(folder / "out" / "a.labels.tif"))
    (folder / "out.corrections").mkdir()
    tifffile.imwrite(folder / "out.corrections" / "a.tif", np.where(labels == 1, 0, labels))
    (folder / "out.corrections" / "right.csv").write_text(TABLES[1])
    seg("correct", "out")
    GIVEN.append(folder)


def result(rng: random.Random, seed: int) -> Case:
    """A result with something else in one of its files, or in one of its corrections."""
    root = GIVEN[-1]
    files = {
        str(p.relative_to(root)): p.read_bytes()
        for top in ("out", "out.corrections") for p in sorted((root / top).rglob("*")) if p.is_file()
    }  # fmt: skip
    verb = rng.choice(VERBS)
    kinds = [_record, _record, _metadata, _metadata, _chunk, _table]
    kinds += [] if verb[0] == "view" else [_labels, _outlines, _right, _journal, _journal, _state]
    rng.choice(kinds)(files, rng, seed)
    return Case(verb, files, kept=("out.corrections", "page.html"))


Files = dict[str, bytes]


def _json(data: bytes, rng: random.Random, seed: int) -> bytes:
    return json.dumps(bent(json.loads(data), rng)).encode() if rng.random() < 0.8 else mutated(data, seed)


def _record(files: Files, rng: random.Random, seed: int) -> None:
    files["out/run.json"] = _json(files["out/run.json"], rng, seed)


def _metadata(files: Files, rng: random.Random, seed: int) -> None:
    name = rng.choice([n for n in files if n.startswith("out/a.zarr/") and n.endswith("zarr.json")])
    files[name] = _json(files[name], rng, seed)


def _chunk(files: Files, rng: random.Random, seed: int) -> None:
    name = rng.choice([n for n in files if n.startswith("out/a.zarr/") and not n.endswith(".json")])
    files[name] = mutated(files[name] or b"x", seed)


def _table(files: Files, rng: random.Random, seed: int) -> None:
    name = "out/a.objects.csv"
    files[name] = mutated(files[name], seed)


def _labels(files: Files, rng: random.Random, seed: int) -> None:
    name = "out.corrections/a.tif"
    if rng.random() < 0.6:
        files[name] = mutated(files[name], seed)
        return
    stream = io.BytesIO()
    shape, of = rng.choice(
        [((32, 41), 0.0), ((2, 32, 40), 0.0), ((32, 40), np.nan), ((32, 40), True), ((32, 40), -7), ((32, 40), 2.0**40),
         ((1, 1), 0), ((32, 40, 3), 1), ((32, 40), 1e300), ((9000, 9000), np.uint16(1))]
    )  # fmt: skip
    tifffile.imwrite(stream, np.full(shape, of), compression="zlib")
    files[name] = stream.getvalue()


def _outlines(files: Files, rng: random.Random, seed: int) -> None:
    del files["out.corrections/a.tif"]
    square = [[2, 2], [9, 2], [9, 9], [2, 9], [2, 2]]
    if rng.random() < 0.6:
        feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}, "properties": {}}
        files["out.corrections/a.geojson"] = _json(
            json.dumps({"type": "FeatureCollection", "features": [feature, feature]}).encode(), rng, seed
        )
        return
    corners = np.array(square[:4], ">i2").T.tobytes()
    roi = b"Iout" + np.array([227, 7 << 8, 0, 0, 9, 9, 4], ">i2").tobytes()
    roi = mutated(roi.ljust(64, b"\0") + corners, seed)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("1.roi", roi)
    packed = rng.choice((roi, stream.getvalue(), mutated(stream.getvalue(), seed)))
    files["out.corrections/a.roi" if packed is roi else "out.corrections/a_rois.zip"] = packed


def _right(files: Files, rng: random.Random, seed: int) -> None:
    table = rng.choice(TABLES).encode()
    files["out.corrections/right.csv"] = mutated(table, seed) if rng.random() < 0.3 else table


def _journal(files: Files, rng: random.Random, seed: int) -> None:
    """Rows of other content, each with the digest that it should have."""
    name = f"{HISTORY}journal.txt"
    if rng.random() < 0.2:
        files[name] = mutated(files[name], seed)
        return
    rows = bent([row_of(line) for line in files[name].splitlines(keepends=True)], rng)
    files[name] = "".join(map(signed, rows if isinstance(rows, list) else [rows])).encode()


def _state(files: Files, rng: random.Random, seed: int) -> None:
    """Another file under the name of a state or of the objects before, which the journal knows."""
    from hashlib import sha256

    name = rng.choice([n for n in files if n.startswith(HISTORY) and n.endswith((".state", ".objects"))])
    old = sha256(files[name]).hexdigest()
    files[name] = mutated(files[name], seed)
    journal = f"{HISTORY}journal.txt"
    text = files[journal].decode().replace(old, sha256(files[name]).hexdigest())
    rows = [json.loads(line.rpartition(" ")[0]) for line in text.splitlines()]
    files[journal] = "".join(map(signed, rows)).encode()
