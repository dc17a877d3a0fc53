"""What a user keeps beside and in an output is never lost, wherever a run dies."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.running.test_workspace import begin, ends, put, stop, tree, wrote
from toolkit.errors import StorageError, UsageError
from toolkit.files.lock import LOCK
from toolkit.running.trespass import MARK, MARKED, RECORD
from toolkit.running.workspace import DONE, FORMER, RESULT


def everything(folder: Path) -> dict[str, str]:
    """Files with their text, links with their target, folders."""
    return {
        str(p.relative_to(folder)): f"-> {p.readlink()}" if p.is_symlink() else "/" if p.is_dir() else p.read_text()
        for p in sorted(folder.rglob("*"))
    }


def ours(out: Path, name: str = "a", overwrite: bool = False, resume: bool = False) -> None:
    with begin(out, overwrite=overwrite, resume=resume) as space:
        for one in (name, f"sub/{name}", f"{name}.zarr/c/0"):
            put(space, one, f"{name} made")
        rows = [name, f"sub/{name}", f"{name}.zarr"]
        space.finish(name, {"files": rows})
        space.publish(wrote(*rows))


def refused(tmp_path: Path, match: str, overwrite: bool = False) -> None:
    before = everything(tmp_path)
    for resume in (False, True):
        with pytest.raises(UsageError, match=match):
            begin(tmp_path / "out", overwrite=overwrite, resume=resume).__enter__()
    assert everything(tmp_path) == before


def test_neighbours_of_the_user_stay(tmp_path: Path) -> None:
    for name in ("out.old", "out.partial", "out.work.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    before = everything(tmp_path)
    for word in ("a", "b"):
        ours(tmp_path / "out", word, overwrite=True)
    assert {k: v for k, v in everything(tmp_path).items() if not k.startswith(("out/", "out:"))} == before | {
        "out": "/"
    }


def folder_of_files(work: Path) -> None:
    (work / "sub").mkdir(parents=True)
    (work / "sub" / "thesis.txt").write_text("precious")


def folder_with_a_journal(work: Path) -> None:
    folder_of_files(work)
    (work / DONE).write_text("")


def folder_with_another_mark(work: Path) -> None:
    work.mkdir()
    (work / MARK).write_text("mine")


def folder_with_a_link_as_mark(work: Path) -> None:
    folder_of_files(work)
    (work.parent / "mark").write_bytes(MARKED)
    (work / MARK).symlink_to(work.parent / "mark")


def link(work: Path) -> None:
    (work.parent / "victim").mkdir()
    (work.parent / "victim" / "file.txt").write_text("precious")
    work.symlink_to("victim")


def link_to_a_marked_folder(work: Path) -> None:
    link(work)
    (work / MARK).write_bytes(MARKED)


def broken_link(work: Path) -> None:
    work.symlink_to("nowhere")


def file(work: Path) -> None:
    work.write_text("precious")


def marked_folder_with_a_link_as_result(work: Path) -> None:
    link(work.with_name("link"))
    work.mkdir()
    (work / MARK).write_bytes(MARKED)
    (work / RESULT).symlink_to(work.parent / "victim")


NOT_OURS = [
    folder_of_files, folder_with_a_journal, folder_with_another_mark, folder_with_a_link_as_mark, link,
    link_to_a_marked_folder, broken_link, file, marked_folder_with_a_link_as_result,
]  # fmt: skip


@pytest.mark.parametrize("make", NOT_OURS)
def test_a_work_folder_that_no_run_made_is_refused_and_kept(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "out.work")
    refused(tmp_path, r"no run made this, so none works in it: .*out.work; move it away, or choose another -o")


@pytest.mark.parametrize("target", ["former", "empty", "nowhere"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_is_a_link_is_refused(target: str, overwrite: bool, tmp_path: Path) -> None:
    ours(tmp_path / "former")
    (tmp_path / "empty").mkdir()
    (tmp_path / "out").symlink_to(target)
    refused(tmp_path, "the output is a link", overwrite)


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_an_output_without_a_name_is_refused(out: str) -> None:
    with pytest.raises(UsageError, match="no name of a new folder"):
        begin(Path(out), overwrite=True).__enter__()


@pytest.mark.parametrize("name", ["notes.txt", "a.txt", "sub/notes.txt", "sub/deep/notes.txt", "more/a", ".hidden"])
def test_a_file_that_the_run_did_not_write_is_named_and_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    ours(tmp_path / "out")
    (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    refused(tmp_path, rf"the run did not write this, .*: .*out/{name}; move it away", overwrite=True)


@pytest.mark.parametrize("name", ["a", "a.zarr", "a.zarr/c/link", "sub/link", RECORD])
def test_a_link_in_an_output_is_not_of_the_run(name: str, tmp_path: Path) -> None:
    ours(tmp_path / "out")
    path = tmp_path / "out" / name
    if path.exists():
        path.rename(tmp_path / "mine")
    path.symlink_to(tmp_path / "mine")
    refused(tmp_path, "the run did not write this", overwrite=True)


RECORDS = ["", "{", "[]", "{}", '{"images": 3}', '{"images": [1]}', '{"images": [{"files": 3}]}', '{"images": [{}]}']
WIDE = [".", "", "..", "../out", "/", "sub/..", "x/../sub"]


@pytest.mark.parametrize("record", [*RECORDS, *(json.dumps(wrote(name)) for name in WIDE)])
def test_a_record_that_names_no_files_makes_none_the_runs(record: str, tmp_path: Path) -> None:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "thesis.txt").write_text("precious")
    (tmp_path / "out" / RECORD).write_text(record)
    refused(tmp_path, "no output of a run|the run did not write this", overwrite=True)


def test_a_file_that_comes_while_the_run_works_is_kept_and_the_work_too(tmp_path: Path) -> None:
    ours(tmp_path / "out")
    with ends(tmp_path / "out", UsageError, overwrite=True) as space:
        space.finish("b", {"files": [put(space, "b")]})
        (tmp_path / "out" / "notes.txt").write_text("mine")
        space.publish(wrote("b"))
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    (tmp_path / "out" / "notes.txt").unlink()
    with begin(tmp_path / "out", overwrite=True, resume=True) as space:
        assert set(space.done()) == {"b"}
        space.publish(wrote("b"))
    assert tree(tmp_path / "out").keys() == {"b", RECORD}


def test_an_output_that_comes_while_the_run_works_is_kept(tmp_path: Path) -> None:
    with ends(tmp_path / "out", UsageError) as space:
        space.finish("b", {"files": [put(space, "b")]})
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("mine")
        space.publish(wrote("b"))
    assert tree(tmp_path / "out") == {"notes.txt": "mine"}
    assert (tmp_path / "out.work" / RESULT / "b").is_file()


def test_links_among_what_was_made_go_and_what_they_point_to_stays(tmp_path: Path) -> None:
    stop(tmp_path / "out", "a", "sub/b")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "b").write_text("precious")
    (tmp_path / "victim" / "c").write_text("precious")
    result = tmp_path / "out.work" / RESULT
    (result / "sub" / "b").unlink()
    (result / "sub").rmdir()
    (result / "sub").symlink_to(tmp_path / "victim")
    (result / "more").symlink_to(tmp_path / "victim")
    with begin(tmp_path / "out", resume=True) as space:
        assert set(space.done()) == {"a"}
        assert sorted(p.name for p in space.work.iterdir()) == ["a"]
    assert tree(tmp_path / "victim") == {"b": "precious", "c": "precious"}


@pytest.mark.parametrize("content", ["precious", "12 and more", "\0"])
def test_a_file_of_the_user_is_not_taken_for_a_lock(content: str, tmp_path: Path) -> None:
    (tmp_path / "out.work").mkdir()
    (tmp_path / "out.work" / LOCK).write_text(content)
    refused(tmp_path, "this is no lock of ours")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    from toolkit.files.lock import held

    (tmp_path / "mine").write_text("123")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError), held(tmp_path / "run"):
        pass
    assert (tmp_path / "mine").read_text() == "123"


def test_two_outputs_where_one_waits_are_both_kept(tmp_path: Path) -> None:
    stop(tmp_path / "out", "b")
    ours(tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / "out.work" / FORMER)
    ours(tmp_path / "else", "c")
    (tmp_path / "else").rename(tmp_path / "out")
    refused(tmp_path, "a former output waits: .*out.work/former; move it, or .*out, away", overwrite=True)


def test_a_former_output_is_put_back_if_the_new_one_cannot_have_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours(tmp_path / "out")
    before = tree(tmp_path / "out")
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path.name == RESULT:
            raise PermissionError(1, "Operation not permitted")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(StorageError, match="Operation not permitted"):
        ours(tmp_path / "out", "b", overwrite=True)
    assert tree(tmp_path / "out") == before


EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}


def dies(work: Callable[[], None], at: int) -> bool:
    """Whether a process that does `work` and is killed before its `at`-th dealing with the disk is killed at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the test runner may have threads
        child = os.fork()
    if not child:
        left = [at]

        def hook(event: str, _: object) -> None:
            if event in EVENTS:
                left[0] -= 1
                if not left[0]:
                    os._exit(9)

        sys.addaudithook(hook)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


@pytest.mark.slow
def test_wherever_a_run_is_killed_the_former_output_is_there_or_comes_back_and_the_run_can_go_on(
    tmp_path: Path,
) -> None:
    put_back = at = 0
    while True:
        at += 1
        here = tmp_path / str(at)
        out = here / "out"
        ours(out)
        (here / "out.old").mkdir()
        (here / "out.old" / "thesis.txt").write_text("precious")
        former = tree(out)
        killed = dies(lambda out=out: ours(out, "b", overwrite=True), at)
        new = {"b", "sub/b", "b.zarr/c/0", RECORD}
        assert not out.exists() or tree(out) == former or tree(out).keys() == new
        if not out.exists():
            put_back += 1
            with pytest.raises(UsageError, match="the output exists"):
                begin(out, resume=True).__enter__()
            assert tree(out) == former
        if at % 2 and dies(lambda out=out: ours(out, "b", overwrite=True, resume=True), at // 2):
            assert not out.exists() or tree(out) == former or tree(out).keys() == new
        ours(out, "b", overwrite=True, resume=True)
        assert tree(out).keys() == new
        assert set(tree(out).values()) > {"b made"}
        assert sorted(p.name for p in here.iterdir()) == ["out", "out.old"]
        assert tree(here / "out.old") == {"thesis.txt": "precious"}
        if not killed:
            break
    assert put_back >= 1
    assert at > 30


@pytest.mark.slow
def test_what_is_left_of_a_former_output_that_was_replaced_never_comes_back(tmp_path: Path) -> None:
    """A process that dies while it removes the former output leaves parts of it, and no output made of parts."""
    at = 0
    while True:
        at += 1
        out = tmp_path / str(at) / "out"
        ours(out)
        former = tree(out)
        killed = dies(lambda out=out: ours(out, "b", overwrite=True), at)
        if out.exists() and "b" in tree(out):
            for path in sorted(out.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            out.rmdir()
            try:
                ours(out, "c")
            except UsageError:
                assert tree(out) == former
            else:
                assert "c" in tree(out)
                assert not {"a", "b"} & set(tree(out))
        if not killed:
            break
