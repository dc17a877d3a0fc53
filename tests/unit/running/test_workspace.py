from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toolkit.errors import InputError, StorageError, UsageError
from toolkit.files.lock import LOCK, held
from toolkit.running import workspace
from toolkit.running.trespass import MARK, MARKED, RECORD
from toolkit.running.workspace import DONE, FINGERPRINT, RESULT, Workspace, opened

PRINT = {"model": "a", "inputs": ["x", "y"]}


def begin(out: Path, fingerprint: dict = PRINT, resume: bool = False, overwrite: bool = False):
    return opened(out, fingerprint, resume, overwrite)


@contextmanager
def ends(out: Path, error: type[BaseException], resume: bool = False, overwrite: bool = False) -> Iterator[Workspace]:
    """A run that ends in an error."""
    with pytest.raises(error), begin(out, PRINT, resume, overwrite) as space:
        yield space


def put(space: Workspace, name: str, text: str = "result") -> str:
    path = space.work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def wrote(*names: str) -> dict:
    """The record of a run that wrote these."""
    return {"images": [{"files": list(names)}]}


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def stop(out: Path, *names: str) -> None:
    """A run that finished these files and was stopped."""
    with ends(out, KeyboardInterrupt) as space:
        for name in names:
            space.finish(name, {"files": [put(space, name)]})
        put(space, ".half/written")
        raise KeyboardInterrupt


def test_the_output_appears_complete_and_alone(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with begin(out) as space:
        space.finish("a", {"files": [put(space, "a.txt"), put(space, "more/a.txt")]})
        assert not out.exists()
        space.publish({"seconds": 1})
    assert tree(out) == {"a.txt": "result", "more/a.txt": "result", RECORD: '{\n "seconds": 1\n}'}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_an_error_before_anything_was_finished_leaves_nothing(tmp_path: Path) -> None:
    with ends(tmp_path / "out", ValueError) as space:
        put(space, "a.txt")
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_what_was_finished_is_kept_and_what_was_not_is_swept(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a", "b")
    assert (tmp_path / "out.work").is_dir()
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"a", "b"}
        assert sorted(p.name for p in space.folder.iterdir()) == sorted([LOCK, MARK, DONE, FINGERPRINT, RESULT])
        assert sorted(p.name for p in space.work.iterdir()) == ["a", "b"]
        space.finish("c", {"files": [put(space, "c")]})
        space.publish({})
    assert tree(tmp_path / "out").keys() == {"a", "b", "c", RECORD}


def test_without_resume_a_run_starts_afresh(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a")
    with begin(tmp_path / "out") as space:
        assert space.done() == {}
        assert not (space.work / "a").exists()


def test_resume_without_anything_to_resume_starts_afresh(tmp_path: Path) -> None:
    with begin(tmp_path / "out", resume=True) as space:
        assert space.done() == {}


def test_a_run_that_was_begun_with_something_else_is_not_resumed_and_not_lost(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a")
    with pytest.raises(UsageError, match="begun with something else: inputs, model; run it as before"):
        begin(tmp_path / "out", {"model": "b", "inputs": ["x"]}, resume=True).__enter__()
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"a"}


TORN = ['{"key": "b", "fi', '{"key": "b", "files": []}', "\0\0\0\0\n", "[1]\n", "{}\n", '\xff{"key": 1}\n']


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_line_of_the_journal_is_cut_and_the_next_one_is_whole(tmp_path: Path, torn: str) -> None:
    stop(tmp_path / "out", "a")
    with (tmp_path / "out.work" / DONE).open("a", encoding="latin1") as stream:
        stream.write(torn)
    with ends(tmp_path / "out", KeyboardInterrupt, resume=True) as space:
        assert set(space.done()) == {"a"}
        space.finish("c", {"files": [put(space, "c")]})
        raise KeyboardInterrupt
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"a", "c"}


def test_a_changed_byte_anywhere_in_the_journal_costs_that_line_and_those_after_it(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a", "b")
    journal = tmp_path / "out.work" / DONE
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1
    for at in range(0, len(whole), 7):
        journal.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for name in ("a", "b"):
            (tmp_path / "out.work" / RESULT / name).write_text("result")
        with ends(tmp_path / "out", KeyboardInterrupt, resume=True) as space:
            assert set(space.done()) == ({"a"} if at >= first else set())
            raise KeyboardInterrupt
        journal.write_bytes(whole)


def test_a_run_whose_beginning_is_damaged_is_not_resumed_and_not_lost(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a")
    begun = tmp_path / "out.work" / FINGERPRINT
    whole = begun.read_bytes()
    for data in (b"", whole[:-30], whole.replace(b"x", b"z"), b"\0" * len(whole)):
        begun.write_bytes(data)
        with pytest.raises(InputError, match=r"the run to resume is damaged: .*; run it anew without --resume"):
            begin(tmp_path / "out", resume=True).__enter__()
    begun.write_bytes(whole)
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"a"}


def test_something_finished_whose_files_are_gone_is_done_again(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a", "b")
    (tmp_path / "out.work" / RESULT / "a").unlink()
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"b"}


BEGUN = [
    {},
    {LOCK: ""},
    {LOCK: "999999999"},
    {LOCK: "1", MARK: ""},
    {LOCK: "1", MARK: "tool"},
    {LOCK: "1", MARK: MARKED.decode(), ".seg-0123456789abcdef.partial": "{"},
]


@pytest.mark.parametrize("left", BEGUN)
def test_a_run_killed_at_its_very_beginning_does_not_stop_the_next(tmp_path: Path, left: dict[str, str]) -> None:
    work = tmp_path / "out.work"
    work.mkdir()
    for name, text in left.items():
        (work / name).write_text(text)
    with begin(tmp_path / "out", resume=True) as space:
        assert space.done() == {}
        space.publish({})
    assert tree(tmp_path / "out").keys() == {RECORD}


def test_an_output_that_exists_is_kept_unless_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for word, overwrite in (("one", False), ("two", True)):
        with begin(out, overwrite=overwrite) as space:
            space.publish(wrote(put(space, word)))
    assert tree(out).keys() == {"two", RECORD}
    with pytest.raises(UsageError, match=r"the output exists: .*out; choose another -o, or say --overwrite"):
        begin(out).__enter__()
    with ends(out, RuntimeError, overwrite=True) as space:
        put(space, "three")
        raise RuntimeError
    assert tree(out).keys() == {"two", RECORD}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_nothing_but_the_output_of_a_run_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.tif").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("photos", "file"):
        with pytest.raises(UsageError, match="no output of a run, so it is not overwritten"):
            begin(tmp_path / name, overwrite=True).__enter__()
    assert tree(tmp_path) == {"photos/a.tif": "mine", "file": "mine"}
    (tmp_path / "empty").mkdir()
    with begin(tmp_path / "empty", overwrite=True) as space:
        space.publish({})
    assert tree(tmp_path / "empty").keys() == {RECORD}


def test_a_file_in_the_way_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match=r"cannot write the output: .*file.out.work \(Not a directory\)"):
        begin(tmp_path / "file" / "out").__enter__()
    with pytest.raises(StorageError, match=r"cannot write the output"):
        begin(tmp_path / ("long" * 80)).__enter__()
    assert tree(tmp_path) == {"file": "mine"}


@pytest.mark.parametrize("name", ["finish", "publish"])
def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with begin(tmp_path / "out") as space:
        row = {"files": [put(space, "a")]}
        monkeypatch.setattr(workspace.os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            space.finish("a", row) if name == "finish" else space.publish({})
    assert not (tmp_path / "out").exists()


HOLD = """
import sys, time
from pathlib import Path
from toolkit.running.workspace import opened
with opened(Path(sys.argv[1]), {"model": "a", "inputs": ["x", "y"]}, False, False) as space:
    print("held", flush=True)
    sys.stdin.readline()
    space.publish({})
"""


def hold(out: Path) -> subprocess.Popen:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_two_processes_never_work_on_one_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = hold(out)
    for resume in (False, True):
        with pytest.raises(StorageError, match=f"another run writes to this output: .*, process {other.pid}; wait"):
            begin(out, resume=resume).__enter__()
    other.communicate("go\n")
    assert other.returncode == 0
    assert tree(out).keys() == {RECORD}
    with pytest.raises(UsageError, match="the output exists"):
        begin(out).__enter__()


def test_the_lock_of_a_killed_process_is_void_whatever_its_number(tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = hold(out)
    other.send_signal(signal.SIGKILL)
    other.wait()
    # In a container the next process often has the same number as the last.
    (tmp_path / "out.work" / LOCK).write_text(str(os.getpid()))
    with begin(out, resume=True) as space:
        space.publish({})
    assert tree(out).keys() == {RECORD}
    other.communicate()


def test_a_lock_is_held_once_and_leaves_no_file(tmp_path: Path) -> None:
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
        with pytest.raises(StorageError), held(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()
    with held(tmp_path):
        pass


def test_the_record_is_json_that_people_can_read(tmp_path: Path) -> None:
    with begin(tmp_path / "out") as space:
        space.publish({"notes": ["1.5 µm"]})
    text = (tmp_path / "out" / RECORD).read_text(encoding="utf8")
    assert "µm" in text
    assert json.loads(text) == {"notes": ["1.5 µm"]}


@pytest.mark.linux
def test_files_are_on_disk_before_the_journal_names_them_and_then_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bool]] = []
    fsync = os.fsync

    def synced(handle: int) -> None:
        journal = tmp_path / "out.work" / DONE
        named = journal.is_file() and '"a"' in journal.read_text()
        said.append((Path(f"/proc/self/fd/{handle}").readlink().name, named))
        fsync(handle)

    with ends(tmp_path / "out", KeyboardInterrupt) as space:
        names = [put(space, "a.txt"), put(space, "b.zarr/c")]
        monkeypatch.setattr(os, "fsync", synced)
        space.finish("a", {"files": [names[0], "b.zarr"]})
        raise KeyboardInterrupt
    assert said == [("a.txt", False), ("c", False), ("b.zarr", False), (DONE, True)]


@pytest.mark.linux
def test_a_result_has_its_name_on_disk_before_the_journal_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def synced(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink() == tmp_path.resolve():
            said.append(((tmp_path / "out").is_dir(), (tmp_path / "out.work" / DONE).is_file()))
        fsync(handle)

    with begin(tmp_path / "out") as space:
        space.finish("a", {"files": [put(space, "a")]})
        monkeypatch.setattr(os, "fsync", synced)
        space.publish({})
    assert said == [(True, True)]
