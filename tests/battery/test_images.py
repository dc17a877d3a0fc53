"""Battery B: bad images. Each gives its right objects or one sentence and exit code 5, and is never altered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery import bad_images
from tests.battery.bad_images import Case
from tests.battery.forkserver import ForkServer
from tests.battery.installed import install_good
from toolkit.values.instances import Instances

SECONDS = 30.0
IMPORTED = (
    "tifffile",
    "imagecodecs",
    "zarr",
    "safetensors.torch",
    "edt",
    "cc3d",
    "toolkit.cli.run",
    "toolkit.io.output",
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[list[ForkServer]]:
    made = [ForkServer(*IMPORTED) for _ in range(2)]
    yield made
    for server in made:
        server.close()


def state(path: Path) -> str:
    """Content, names and times of a file or of everything in a folder."""
    digest = hashlib.sha256()
    for file in sorted([path, *path.rglob("*")]):
        digest.update(f"{file} {file.stat().st_mtime_ns}".encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


def attempt(server: ForkServer, folder: Path, plugins: Path, case: Case) -> str:
    """What is wrong with a run on the image of a case, if anything."""
    folder.mkdir()
    image = case.make(folder)
    before = state(image)
    found = server(
        *("run", str(image), "--plugin", "good", "-o", "out", "--workers", "1", "--device", "cpu"),
        *case.arguments,
        folder=folder,
        path=plugins,
        timeout=SECONDS,
    )
    wrong = []
    if found.code != (5 if case.labels is None else 0):
        wrong.append(f"exit code {found.code}: {found.err[-400:]}")
    if "Traceback" in found.err or len(found.errors) != (found.code != 0) or "Warning" in found.err:
        wrong.append(f"said: {found.err[-600:]}")
    if case.said not in found.err:
        wrong.append(f"did not say {case.said!r}: {found.err[-300:]}")
    if found.code != 0 and found.out:
        wrong.append(f"printed: {found.out[:200]}")
    if state(image) != before:
        wrong.append("the input has changed")
    if {p.name for p in folder.iterdir()} != {image.name, *(["out"] if case.labels is not None else [])}:
        wrong.append(f"left {sorted(p.name for p in folder.iterdir())}")
    if case.labels is not None and found.code == 0:
        labels = tifffile.imread(folder / "out" / "image.labels.tif").reshape(case.labels.shape)
        if Instances.from_labels(labels) != Instances.from_labels(case.labels):
            wrong.append(f"{len(np.unique(labels)) - 1} objects, not {case.labels.max()}, or others")
        if labels.max() != case.labels.max():
            wrong.append(f"{labels.dtype} labels up to {labels.max()}")
    return "; ".join(wrong)


def test_bad_images_are_one_sentence_and_odd_ones_give_their_objects(servers: list[ForkServer], tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install_good(plugins)
    cases = bad_images.cases()
    assert len(cases) >= 40

    def run(number: int, server: ForkServer) -> list[str]:
        wrong = []
        for i, (name, case) in enumerate(list(cases.items())[number :: len(servers)]):
            why = attempt(server, tmp_path / f"{number}-{i}", plugins, case)
            wrong += [f"{name}: {why}"] if why else []
        return wrong

    with ThreadPoolExecutor(len(servers)) as pool:
        wrong = [w for part in pool.map(run, range(len(servers)), servers) for w in part]
    assert not wrong, "\n".join(wrong)


def test_one_bad_image_among_good_ones_is_named_and_the_others_are_done(
    servers: list[ForkServer], tmp_path: Path
) -> None:
    plugins, folder = tmp_path / "plugins", tmp_path / "images"
    plugins.mkdir()
    folder.mkdir()
    install_good(plugins)
    for name in ("a", "b", "c"):
        tifffile.imwrite(folder / f"{name}.tif", bad_images.SCENE)
    (folder / "b.tif").write_bytes((folder / "b.tif").read_bytes()[:700])
    arguments = ("run", str(folder), "--plugin", "good", "-o", "out", "--workers", "1", "--device", "cpu")
    found = servers[0](*arguments, folder=tmp_path, path=plugins, timeout=SECONDS)
    assert found.code == 5
    assert len(found.errors) == 1
    assert "1 of 3 images" in found.errors[0]
    assert "truncated" in found.err
    done = sorted(p.name for p in (tmp_path / "out").glob("*.labels.tif"))
    assert done == ["a.labels.tif", "c.labels.tif"]
