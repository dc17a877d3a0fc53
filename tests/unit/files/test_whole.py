from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.running.test_trespass import everything
from toolkit.errors import StorageError, UsageError
from toolkit.files import whole
from toolkit.registry.objects import STALE, Objects


def test_a_file_replaces_an_older_one_and_leaves_no_draft(tmp_path: Path) -> None:
    for word in ("one", "two"):
        whole.text(tmp_path / "a.json", word)
    assert everything(tmp_path) == {"a.json": "two"}


def test_a_file_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with pytest.raises(ZeroDivisionError), whole.file(tmp_path / "a") as made:
        made.write_text(str(1 / 0))
    assert everything(tmp_path) == {"a": "before"}


def test_a_folder_where_none_can_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    said = r"no folder can be made here: .*/a \(File exists\); choose another"
    with pytest.raises(StorageError, match=said), whole.folder(tmp_path / "a" / "new"):
        pytest.fail("there is no such folder")
    assert everything(tmp_path) == {"a": "precious"}


@pytest.mark.parametrize("name", ["a.partial", "a.part", ".a.partial", "a.old", "a.tmp"])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "broken link"])
def test_no_neighbour_is_touched_whatever_its_name(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    if kind == "folder":
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    elif kind == "file":
        (tmp_path / name).write_text("precious")
    else:
        (tmp_path / name).symlink_to("victim" if kind == "link" else "nowhere")
    before = everything(tmp_path)
    whole.text(tmp_path / "a", "new")
    (tmp_path / "a").unlink()
    with whole.folder(tmp_path / "a") as made:
        (made / "x").write_text("new")
    assert everything(tmp_path) == before | {"a": "/", "a/x": "new"}


def link(path: Path) -> None:
    path.symlink_to("victim")


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("precious")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [link, broken_link, folder, pipe])
def test_links_folders_and_devices_are_not_written_over(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    make(tmp_path / "a")
    with pytest.raises(UsageError, match=r"not written over: .*a; move it away"):
        whole.text(tmp_path / "a", "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "victim"]
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("make", [link, broken_link, folder, pipe])
def test_a_folder_replaces_nothing(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(StorageError, match="the output cannot get its name"), whole.folder(tmp_path / "a") as made:
        (made / "x").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_only_drafts_are_swept(tmp_path: Path) -> None:
    kept = [".seg-0.partial", "seg-0123456789abcdef.partial", "a.partial", ".seg-0123456789abcdef.partial.txt"]
    for name in (*kept, whole.draft()):
        (tmp_path / name).write_text("")
    (tmp_path / whole.draft()).mkdir()
    (tmp_path / whole.draft()).symlink_to("nowhere")
    whole.prune(tmp_path)
    left = {p.name for p in tmp_path.iterdir() if p.is_file()}
    assert left == set(kept)
    assert len(list(tmp_path.iterdir())) == len(kept) + 2


def test_the_sweep_of_the_registry_leaves_what_no_registry_named(tmp_path: Path) -> None:
    """SEG_HOME may be a folder in which the user keeps other things under the same names."""
    digest, address = "0" * 64, "0" * 32
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "thesis.txt").write_text("precious")
    for folder in ("objects", "incoming", "downloads"):
        for name in ("thesis", "tmp", digest[1:], "seg-work"):
            (tmp_path / folder / name).mkdir(parents=True)
            (tmp_path / folder / name / "thesis.txt").write_text("precious")
        (tmp_path / folder / "paper.pdf").write_text("precious")
        for name in (digest, "seg-abcdefgh", address):
            (tmp_path / folder / name).symlink_to(tmp_path / "victim")
    before = everything(tmp_path)
    gone = ["objects/" + "1" * 64, "incoming/seg-00000000", "downloads/seg-00000000"]
    for name in gone:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("12345")
    for name in ("1" * 32, "1" * 32 + ".part", "1" * 32 + "-12", "1" * 32 + "-7.part"):
        (tmp_path / "downloads" / name).write_text("half")
    past = time.time() - STALE - 60
    for path in tmp_path.rglob("*"):
        os.utime(path, (past, past), follow_symlinks=False)
    assert Objects(tmp_path).prune(()) == [("1" * 64, 5)]
    assert everything(tmp_path) == before


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is synced, replaced and renamed, by the names that drafts will have."""
    said: list[tuple[str, str]] = []
    real = {name: getattr(Path, name) for name in ("replace", "rename")}
    fsync = os.fsync

    def synced(handle: int) -> None:
        said.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().suffix or "folder"))
        fsync(handle)

    def moved(how: str) -> Callable[[Path, Path], Path]:
        def move(path: Path, to: Path) -> Path:
            said.append((how, path.suffix))
            return real[how](path, to)

        return move

    monkeypatch.setattr(os, "fsync", synced)
    for name in real:
        monkeypatch.setattr(Path, name, moved(name))
    return said


@pytest.mark.linux
def test_a_file_is_synced_then_renamed_and_its_folder_synced(tmp_path: Path, order: list[tuple[str, str]]) -> None:
    with whole.file(tmp_path / "a") as made:
        made.write_text("x")
    assert order == [("sync", ".partial"), ("replace", ".partial"), ("sync", "folder")]


@pytest.mark.linux
def test_the_folder_of_a_new_folder_is_synced(tmp_path: Path, order: list[tuple[str, str]]) -> None:
    with whole.folder(tmp_path / "a") as made:
        (made / "x").write_text("x")
    assert order == [("rename", ".partial"), ("sync", "folder")]


def test_a_text_is_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole.text(tmp_path / "a", "before")
    write = Path.write_text

    def torn(path: Path, text: str, **how: str) -> int:
        write(path, text[:1], **how)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", torn)
    with pytest.raises(OSError, match="No space"):
        whole.text(tmp_path / "a", "after")
    assert everything(tmp_path) == {"a": "before"}
