"""The command line: verbs on demand, one line for every failure, an exit code for every kind."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.battery.installed import install, install_bad, install_good
from toolkit import errors
from toolkit.cli import GROUPS, VERBS, failure, main
from toolkit.cli.lazy import Verbs
from toolkit.cli.machine import findings
from toolkit.registry.store import Store


def seg(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_its_line_and_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, err = seg(capsys, *verb.split(), "--help")
    said = " ".join(out.split())
    assert (code, err) == (0, "")
    assert VERBS[verb][1].rstrip(".") in said
    assert f"Example: seg {verb}" in said


def test_help_lists_every_verb_and_group(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = seg(capsys, "--help")
    words = {verb.partition(" ")[0] for verb in VERBS}
    assert code == 0
    assert all(re.search(rf"^  {word} ", out, re.MULTILINE) for word in words)
    assert seg(capsys)[1] == out, "seg alone is seg --help"
    assert {verb.partition(" ")[0] for verb in VERBS if " " in verb} <= set(GROUPS)


def test_a_verb_is_imported_only_when_it_is_resolved() -> None:
    table = {"one": ("no.such.module:one", "Never."), "two inner": ("no.such.module:two", "Never.")}
    group = type("Table", (Verbs,), {"table": table, "groups": {"two": "Inner."}})(name="test")
    assert group.list_commands(None) == ["one", "two"]
    with pytest.raises(ModuleNotFoundError):
        group.resolve_command(typer.Context(group), ["one"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rn"], "error: No such command 'rn'. Did you mean 'run'?; see seg --help"),
        (["plugins"], "error: Missing command; see seg plugins --help"),
        (["plugins", "lst"], "error: No such command 'lst'. Did you mean 'list'?; see seg plugins --help"),
        (["doctor", "--jsn"], "error: No such option: --jsn (Possible options: --json); see seg doctor --help"),
        (["show"], "error: Missing argument 'recipe'; see seg show --help"),
        (["doctor", "--timeout", "soon"], "error: Invalid value for '--timeout': Input should be a valid number"),
    ],
)
def test_a_wrong_command_line_is_exit_2_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    code, out, err = seg(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert seg(capsys, "--version") == (0, f"seg {version('seg-toolkit')}\n", "")


class OutOfMemoryError(RuntimeError):
    """What torch raises is called so."""


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.UsageError("no such thing", "x", "do y"), 2, "no such thing: x; do y"),
        (errors.NotTrusted("a"), 3, "a"),
        (errors.ModelError("a", "b"), 4, "a: b"),
        (errors.InputError("two\nlines"), 5, "two lines"),
        (errors.OutOfMemory("a"), 6, "a"),
        (MemoryError(), 6, "out of memory; use smaller blocks"),
        (OutOfMemoryError("CUDA out of memory"), 6, "out of memory; use smaller blocks"),
        (errors.StorageError("a"), 7, "a"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out.tif"),
            7,
            "No space left on device: out.tif; free space",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 7, "Permission denied: /x"),
        (errors.BlocksFailed("a"), 8, "a"),
        (errors.PluginError("a"), 9, "a"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (errors.Interrupted("a"), 130, "a"),
    ],
)
def test_every_failure_is_one_line_without_a_traceback(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, says: str
) -> None:
    assert failure.report(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("x"), OSError(errno.EIO, "Input/output error", "x"), AssertionError()])
def test_what_nobody_foresaw_is_our_bug_and_shows_its_traceback(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        raise error
    assert failure.report(raised.value) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1] == (
        "error: this is a bug in the toolkit, not in your data; please report it with the lines above"
    )


def test_a_verb_that_fails_unforeseen_is_reported_by_main(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("oh")

    monkeypatch.setattr("toolkit.cli.plugins.list.catalogue", broken)
    code, out, err = seg(capsys, "plugins", "list")
    assert (code, out) == (1, "")
    assert "KeyError: 'oh'" in err


def test_an_interrupted_verb_is_exit_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.cli.plugins.list.catalogue", interrupted)
    assert seg(capsys, "plugins", "list") == (130, "", "error: interrupted\n")


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["plugins", "list"], ["plugins", "show", "builtin"], ["show", "unet"]):
        code, out, err = seg(capsys, *arguments, "--json")
        assert (code, err) == (0, "")
        json.loads(out)


def test_plugins_list_names_distributions_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = seg(capsys, "plugins", "list")
    assert code == 0
    assert re.search(r"^builtin +seg-toolkit +\d", out, re.MULTILINE)


def test_no_plugin_leaves_a_plugin_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_good(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert "good" in seg(capsys, "plugins", "list")[1]
    assert "good" not in seg(capsys, "--no-plugin", "good", "plugins", "list")[1]
    code, _, err = seg(capsys, "--no-plugin", "good", "plugins", "show", "good")
    assert (code, err) == (2, "error: this plugin is left out: good; see --no-plugin and TOOLKIT_PLUGINS\n")


@pytest.mark.slow
def test_plugins_show_tells_fields_defaults_and_what_is_tunable(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = seg(capsys, "plugins", "show", "builtin", "--json")
    about = json.loads(out)
    assert about["networks"]["unet"]["fields"]["maps"]["default"] == [16, 32, 64, 128]
    assert about["postprocessors"]["watershed"]["fields"]["depth"]["tunable"] is True
    assert about["recipes"]["unet"] == {"weights": False}
    text = seg(capsys, "plugins", "show", "builtin")[1]
    assert "maps = (16, 32, 64, 128)" in text
    assert re.search(r"depth = 0.75  \(.*\), tuned from \S+ to", text)


def test_show_prints_a_recipe_that_can_be_read_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = seg(capsys, "show", "unet", "--set", "postprocess.depth=2")
    assert (code, err) == (0, "")
    assert "depth: 2.0" in out
    path = tmp_path / "mine.yaml"
    path.write_text(out, encoding="utf8")
    assert seg(capsys, "show", str(path))[1] == out


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["uent"], 2, "error: no such recipe: uent; did you mean 'unet'?"),
        (["unet", "--set", "postprocess.dept=1"], 2, "error: no such key: postprocess.dept; did you mean 'depth'?"),
        (["none.yaml"], 5, "error: no such recipe file: none.yaml; check the path"),
    ],
)
def test_show_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, line: str
) -> None:
    assert seg(capsys, "show", *arguments) == (code, "", line + "\n")


def test_what_a_plugin_ships_is_listed_and_shown_with_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = seg(capsys, "models", "show", "embedseg", "--json")
    about = json.loads(out)
    assert (code, about["model"], about["title"]) == (0, "embedseg:embedseg", "nuclei, bright on dark")
    assert about["scores"][0] == "S@0.50 0.864 on 49 validation images of dsb2018"
    code, out, _ = seg(capsys, "models", "list")
    assert (code, "S@0.50 0.864" in out) == (0, True)
    assert seg(capsys, "models", "show", "embdseg")[2].endswith("did you mean 'embedseg:embedseg'?\n")
    assert "ships no trained model" in seg(capsys, "models", "show", "embedseg-3d")[2]


def test_a_narrow_screen_cuts_no_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for verb in (["models", "search", "nuclei"], ["models", "list"], ["plugins", "list"]):
        out = seg(capsys, *verb)[1]
        assert "…" not in out
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.slow
def test_doctor_finds_the_machine_and_the_plugins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_good(tmp_path)
    install_bad(tmp_path, "raises")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    code, out, err = seg(capsys, "--no-plugin", "cpv", "--no-plugin", "ppp", "doctor", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    machine = {f["what"]: f["value"] for f in found["machine"]}
    assert {"python", "torch", "memory", "home", "working folder"} <= set(machine)
    assert machine["home"].startswith(str(tmp_path / "home"))
    state = {p["name"]: p["error"] for p in found["plugins"]}
    assert state["good"] is None
    assert state["bad"] == "RuntimeError: bad on purpose"
    assert any("broken" in fix for fix in found["fix"])
    assert not (tmp_path / "home").exists(), "looking makes nothing"


@pytest.mark.parametrize("chosen", [True, False])
def test_doctor_looks_at_the_registry_that_models_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: bool
) -> None:
    monkeypatch.delenv("SEG_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if chosen:
        monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    (home,) = (f.value for f in findings() if f.what == "home")
    assert home.startswith(f"{Store().home},")
    assert str(tmp_path) in home


def test_doctor_says_what_is_wrong_with_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path))
    assert {f.value for f in findings() if f.what == "installed models"} == {"0"}
    (tmp_path / "objects" / ("a" * 64)).mkdir(parents=True)
    (found,) = (f for f in findings() if f.what == "installed models")
    assert "registry of the installed models is lost" in found.value
    assert found.fix.startswith("put a copy of it back")


@pytest.mark.slow
def test_a_plugin_that_fails_its_checks_is_exit_9_and_says_which(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_good(tmp_path)
    text = "from fine_plugin import *\nDifference.summarise = lambda self, counts: {str(len(counts)): 0.0}"
    install(tmp_path, "odd", "odd_plugin", text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    code, out, err = seg(capsys, "plugins", "check", "odd")
    assert code == 9
    assert "metric difference: many images have the keys of one" in out
    assert err.splitlines()[-1].startswith("error: 2 of 14 checks failed: odd")
