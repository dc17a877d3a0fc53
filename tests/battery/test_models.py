"""Battery A: hostile and damaged models. None is executed, none connects, each is one sentence; good ones run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import packages
from tests.battery import damaged, hostile, sound
from tests.battery.bent import zipped
from tests.battery.forkserver import ForkServer, Result

MUTATIONS = 300
SECONDS = 10.0
IMPORTED = (
    *("monai.networks.nets", "onnx", "onnxruntime", "safetensors.torch"),
    *(f"toolkit.cli.models.{verb}" for verb in ("add", "test")),
    *(f"toolkit.registry.bioimageio.{name}" for name in ("format_0_4", "format_0_5", "module")),
    *("toolkit.registry.verify", "toolkit.registry.gate.graph", "toolkit.registry.install"),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[list[ForkServer]]:
    made = [ForkServer(*IMPORTED) for _ in range(2)]
    yield made
    for server in made:
        server.close()


def attempt(server: ForkServer, folder: Path, data: bytes, verb: str) -> tuple[Result, str]:
    """Run a verb on a package in a folder of its own; returns the result and what is wrong with it, if anything."""
    folder.mkdir(parents=True)
    (folder / "model.zip").write_bytes(data)
    log = folder.parent / f"{folder.name}.log"
    home = folder.parent / f"{folder.name}.home"
    found = server(
        "models", verb, "model.zip", folder=folder, timeout=SECONDS, SEG_HOME=str(home), WATCHED=str(log)
    )  # fmt: skip
    wrong = []
    if (folder / "model.zip").read_bytes() != data or len(list(folder.iterdir())) > 1:
        wrong.append("the folder has changed")
    if log.exists():
        wrong.append(f"seen: {log.read_text()[:300]}")
    if "Traceback" in found.err or len(found.errors) != (found.code != 0):
        wrong.append(f"said: {found.err[-600:]}")
    if found.code not in (0, 3, 4, 5):
        wrong.append(f"exit code {found.code}")
    shutil.rmtree(folder)
    shutil.rmtree(home, ignore_errors=True)
    return found, "; ".join(wrong)


def test_hostile_models_are_refused_in_one_sentence_and_good_ones_run(
    servers: list[ForkServer], tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    groups = (hostile.code, hostile.pickles, hostile.torchscript, damaged.archives, damaged.graphs, damaged.damaged,
              damaged.descriptions, sound.good)  # fmt: skip
    cases = {name: case for group in groups for name, case in group(str(marker)).items()}
    assert len(cases) == 64

    def run(number: int, server: ForkServer) -> list[str]:
        wrong = []
        for i, (name, (data, expected)) in enumerate(list(cases.items())[number :: len(servers)]):
            for verb in ("test", "add"):
                found, why = attempt(server, tmp_path / f"{number}-{i}-{verb}", data, verb)
                if verb == "test" and found.code != expected:
                    why += f"; exit code {found.code}, not {expected}: {found.err[-300:]}"
                wrong += [f"{name} ({verb}): {why}"] if why else []
        return wrong

    with ThreadPoolExecutor(len(servers)) as pool:
        wrong = [w for part in pool.map(run, range(len(servers)), servers) for w in part]
    assert wrong == []
    assert not marker.exists()


def test_damaged_bytes_anywhere_are_refused_in_one_sentence(servers: list[ForkServer], tmp_path: Path) -> None:
    data = zipped(packages.good())
    states = [sound.unet_package(old) for old in (False, True)]

    def bent(seed: int) -> bytes:
        """A third each: bytes of the archive, of a file in it, of a state dict in it."""
        kind, number = seed % 3, seed // 3
        return (
            damaged.mutated(data, seed)
            if kind == 0
            else damaged.inside(data if kind == 1 else states[number % 2], seed)
        )

    def run(number: int, server: ForkServer) -> list[tuple[int, str]]:
        found = []
        for seed in range(number, MUTATIONS, len(servers)):
            result, why = attempt(server, tmp_path / str(seed), bent(seed), "test")
            found.append((result.code, f"seed {seed}: {why}" if why else ""))
        return found

    with ThreadPoolExecutor(len(servers)) as pool:
        results = [r for part in pool.map(run, range(len(servers)), servers) for r in part]
    assert [why for _, why in results if why] == []
    # Some bytes do not matter, such as the date of a member; most do.
    assert sum(code == 4 for code, _ in results) > MUTATIONS * 0.8
