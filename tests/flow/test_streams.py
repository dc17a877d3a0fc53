"""The streams of the program: readers that go, letters that lack, narrow screens, terminals that are closed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.battery.installed import install
from tests.models import see_through
from toolkit.cli import main
from toolkit.cli.streams import NARROW, Patient
from toolkit.running import one, run

pytestmark = pytest.mark.linux
NAME = "µ-é-ж"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return see_through(tmp_path_factory.mktemp("model") / "seen")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image(path: Path) -> None:
    pixels = np.zeros((60, 50), np.uint8)
    pixels[10:20, 10:30] = 200
    tifffile.imwrite(path, pixels, photometric="minisblack")


def seg(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toolkit.cli", *map(str, arguments)]
    env = os.environ | settings.pop("env", {})
    return subprocess.run(command, check=False, text=True, env=env, timeout=120, **settings)


def unread() -> int:
    """The end to write to of a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_verb_whose_reader_has_gone_ends_in_silence(as_json: tuple[str, ...], here: Path) -> None:
    done = seg("plugins", "list", *as_json, stdout=unread(), stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_goes_on_when_nobody_reads_what_it_says(model: Path, here: Path) -> None:
    image(here / "in" / "a.tif")
    gone = unread()
    done = seg("run", "in/a.tif", "--model", model, "-o", "out", "--workers", 1, stdout=gone, stderr=gone)
    assert done.returncode == 0
    assert (here / "out" / "run.json").is_file()
    assert seg("run", "in/b.tif", "--model", model, stdout=gone, stderr=gone).returncode == 5


LOUD = """
import os, subprocess
from pathlib import Path

from toolkit.api import hookimpl, postprocessor

SEG_API = 2


@postprocessor("loud", needs={"image": 1}, halo=8)
def loud(heads):
    print("said")
    os.write(1, b"written\\n")
    subprocess.run(["echo", "echoed"])
    return (heads["image"][0] > 0.5).astype("int32")


@hookimpl
def seg_postprocessors():
    return (loud,)


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "loud.yaml"]
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plugin_that_prints_while_it_works_is_heard_on_the_other_stream(workers: int, here: Path) -> None:
    (here / "site").mkdir()
    install(here / "site", "loud", "toolkit_loud", LOUD)
    recipe = "schema: toolkit.recipe/1\nname: loud\nnetwork: {kind: image}\npostprocess: {kind: loud}\n"
    (here / "site" / "loud.yaml").write_text(recipe)
    for name in "ab":
        image(here / "in" / f"{name}.tif")
    run_it = ["run", "in", "--plugin", "loud", "-o", "out", "--workers", workers, "--diameter", "off", "--json"]
    path = os.pathsep.join([str(here / "site"), os.environ.get("PYTHONPATH", "")])
    done = seg(*run_it, capture_output=True, env={"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["images"]) == 2
    assert {"said", "written", "echoed"} <= set(done.stderr.split())


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_stream_without_such_letters_shows_escapes(as_json: tuple[str, ...], model: Path, here: Path) -> None:
    image(here / "in" / f"{NAME}.tif")
    done = seg(
        "run", f"in/{NAME}.tif", "--model", model, "-o", "out", "--workers", 1, *as_json,
        capture_output=True, env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    if as_json:
        assert json.loads(done.stdout)["images"][0]["stem"] == NAME
    else:
        assert r"\xb5-\xe9-\u0436.labels.tif" in done.stdout
        assert r"\xb5-\xe9-\u0436" in done.stderr


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_full_disk_behind_the_output_is_one_sentence(as_json: tuple[str, ...], here: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = seg("plugins", "list", *as_json, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (7, "error: No space left on device: output; free space or choose "
                                                 "another path\n")  # fmt: skip


def test_streams_that_are_closed_are_no_matter(here: Path) -> None:
    command = [sys.executable, "-m", "toolkit.cli", "plugins", "list"]
    assert subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("columns", ["0", "1"])
def test_a_screen_too_narrow_for_any_text_is_written_beyond(columns: str, here: Path) -> None:
    for arguments in (["plugins", "list"], ["plugins", "list", "--help"]):
        done = seg(*arguments, capture_output=True, env={"COLUMNS": columns})
        assert "plugin" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 2 * NARROW


def test_a_pipe_says_what_else_is_wrong_once() -> None:
    with Path("/dev/full").open("wb") as full, Patient(full.fileno()) as stream:
        with pytest.raises(OSError, match="No space"):
            stream.write(b"one")
        assert stream.write(b"two") == 3


@pytest.mark.parametrize("ignored", [False, True], ids=["terminal", "nohup"])
def test_a_closed_terminal_interrupts_a_run_but_under_nohup(
    ignored: bool, model: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for k in range(3):
        image(here / "in" / f"{k}.tif")
    original, done = one.one_image, []

    def one_image(*arguments: Any) -> Any:
        done.append(1)
        if len(done) == 3:
            os.kill(os.getpid(), signal.SIGHUP)
        return original(*arguments)

    monkeypatch.setattr(run, "one_image", one_image)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else lambda *_: None)
    try:
        code = main(["run", "in", "--model", str(model), "-o", "out", "--workers", "1", "--no-preview"])
    finally:
        signal.signal(signal.SIGHUP, before)
    said = capfd.readouterr().err.splitlines()[-1]
    if ignored:
        assert (code, len(done)) == (0, 3)
    else:
        assert (code, said) == (130, "error: interrupted: out; 2 of 3 images are done and kept for --resume")
