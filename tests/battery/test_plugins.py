"""Group H: no broken plugin stops a command that does not use it, whatever it does at import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from tests.battery.forkserver import ForkServer, Result
from tests.battery.installed import BAD, SAID, install_bad, install_good

KINDS = sorted([*BAD, "double"])
IMPORTED_HERE = sorted(set(BAD) - {"kills", "hangs"})
"""Kinds that a command may import in its own process and live."""


@pytest.fixture(scope="module")
def seg() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "cells.tif"
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((64, 64)), 4)
    tifffile.imwrite(path, (255 * (noise > 0)).astype(np.uint8))
    return path


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    install_good(folder)
    return folder


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, healthy: Path) -> str:
    install_bad(healthy, request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of broken plugin at once, each under its own name, beside the healthy ones."""
    folder = tmp_path_factory.mktemp("crowd")
    install_good(folder)
    for kind in KINDS:
        install_bad(folder, kind, f"bad-{kind}")
    return folder


@pytest.fixture(scope="module")
def diagnosis(seg: ForkServer, crowd: Path) -> Result:
    return seg("doctor", "--timeout", "15", folder=crowd, path=crowd, timeout=120)


def imported(folder: Path) -> bool:
    return any(folder.glob("bad_*.imported"))


def test_doctor_succeeds_among_broken_plugins(diagnosis: Result) -> None:
    assert (diagnosis.code, diagnosis.err) == (0, "")
    for name in ("good", "fine", "builtin", "bad-double"):
        assert sum(line.startswith(f"plugin {name} ") and "  ok  " in line for line in diagnosis.out.splitlines()) == 1


@pytest.mark.parametrize("kind", sorted(BAD))
def test_doctor_names_each_broken_plugin_in_one_line(diagnosis: Result, kind: str) -> None:
    lines = [line for line in diagnosis.out.splitlines() if f"bad-{kind} " in line]
    assert len(lines) == 1
    assert SAID[kind] in lines[0]


def test_another_plugin_can_be_checked_among_all_of_them(seg: ForkServer, healthy: Path) -> None:
    for kind in KINDS:
        install_bad(healthy, kind, f"bad-{kind}")
    result = seg("plugins", "check", "fine", "--json", folder=healthy, path=healthy)
    assert result.code == 0, result.err
    assert json.loads(result.out)["ok"] is True
    assert not imported(healthy), "a plugin was imported that nobody asked for"


def test_a_recipe_of_another_plugin_can_be_shown(seg: ForkServer, healthy: Path, kind: str) -> None:
    result = seg("show", "good", folder=healthy, path=healthy)
    assert (result.code, result.err) == (0, "")
    assert "name: good" in result.out
    assert not imported(healthy), "a plugin was imported that nobody asked for"


def test_another_plugin_can_run(seg: ForkServer, healthy: Path, kind: str, image: Path) -> None:
    result = seg("run", str(image), "--plugin", "good", "-o", "out", "--device", "cpu", "--workers", "1", "--json",
                 folder=healthy, path=healthy)  # fmt: skip
    assert result.code == 0, result.err
    assert json.loads(result.out)["images"][0]["objects"] > 0
    assert not imported(healthy), "a plugin was imported that nobody asked for"


def test_listing_and_help_import_nothing(seg: ForkServer, healthy: Path) -> None:
    for kind in KINDS:
        install_bad(healthy, kind, f"bad-{kind}")
    for arguments in (["--help"], ["plugins", "list"], ["plugins", "list", "--json"], ["plugins", "show", "--help"]):
        result = seg(*arguments, folder=healthy, path=healthy)
        assert (result.code, result.err) == (0, "")
    assert not imported(healthy)


@pytest.mark.parametrize("kind", sorted(BAD))
def test_checking_a_broken_plugin_is_exit_9(seg: ForkServer, healthy: Path, kind: str) -> None:
    install_bad(healthy, kind)
    result = seg("plugins", "check", "bad", "--timeout", "5", folder=healthy, path=healthy)
    assert (result.code, result.out) == (9, "")
    assert len(result.errors) == 1
    assert SAID[kind] in result.errors[0]
    assert "Traceback" not in result.err


@pytest.mark.parametrize("kind", ["kills", "hangs"])
def test_showing_a_plugin_that_ends_or_blocks_its_process_is_exit_9(seg: ForkServer, healthy: Path, kind: str) -> None:
    install_bad(healthy, kind)
    result = seg("plugins", "show", "bad", "--timeout", "5", folder=healthy, path=healthy)
    assert (result.code, result.out) == (9, "")
    assert SAID[kind] in result.errors[0]


@pytest.mark.parametrize("kind", IMPORTED_HERE)
def test_running_a_broken_plugin_is_exit_9(seg: ForkServer, healthy: Path, kind: str, image: Path) -> None:
    install_bad(healthy, kind)
    result = seg("run", str(image), "--plugin", "bad", "-o", "out", folder=healthy, path=healthy)
    assert result.code == 9, result.err
    assert len(result.errors) == 1
    assert SAID[kind] in result.errors[0]
    assert result.out == ""
    assert not (healthy / "out").exists()


@pytest.mark.parametrize("kind", IMPORTED_HERE)
def test_a_search_among_all_plugins_mentions_the_broken_one(seg: ForkServer, healthy: Path, kind: str) -> None:
    install_bad(healthy, kind)
    result = seg("show", "nowhere", folder=healthy, path=healthy)
    assert result.code == 2
    assert len(result.errors) == 1
    assert f"plugin bad is broken ({SAID[kind][:10]}" in result.errors[0] or SAID[kind] in result.errors[0]


def test_two_plugins_with_one_kind_are_both_named(seg: ForkServer, healthy: Path) -> None:
    install_bad(healthy, "double")
    wrong = seg("show", "unet", "--set", "network=good", folder=healthy, path=healthy)
    assert wrong.code == 2
    assert wrong.errors == ["error: two plugins have this network: good; choose bad:good or good:good"]
    right = seg("show", "unet", "--set", "network=good:good", folder=healthy, path=healthy)
    assert right.code == 0, right.err


@pytest.mark.parametrize(("where", "what"), [
    ("from scipy.ndimage import label", "raise KeyError('oh')"),
    ("from scipy.ndimage import label", "raise SystemExit(0)"),
    ("from good_module import GoodModule", "raise SystemExit(0)"),
])  # fmt: skip
def test_a_plugin_that_fails_in_use_or_ends_the_program_is_exit_9_without_a_traceback(
    where: str, what: str, seg: ForkServer, healthy: Path, image: Path
) -> None:
    module = healthy / "good_plugin.py"
    module.write_text(module.read_text().replace(where, what))
    result = seg("run", str(image), "--plugin", "good", "-o", "out", "--device", "cpu", "--workers", "1",
                 folder=healthy, path=healthy)  # fmt: skip
    assert result.code == 9, result.err
    assert len(result.errors) == 1
    assert "good" in result.errors[0]
    assert "Traceback" not in result.err
    assert not (healthy / "out").exists()
