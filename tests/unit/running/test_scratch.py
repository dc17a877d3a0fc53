"""Parts of unfinished images in a folder that the user chose."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.running.test_workspace import PRINT, put, tree
from toolkit.errors import StorageError, UsageError
from toolkit.files.lock import held
from toolkit.pipeline.shelf import Shelf
from toolkit.running.scratch import place
from toolkit.running.trespass import MARK, MARKED, RECORD
from toolkit.running.workspace import Workspace, begun, opened, writable
from toolkit.values.rescaling import Rescaling


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def begin(out: Path, scratch: Path | None, resume: bool = False) -> AbstractContextManager[Workspace]:
    return opened(out, PRINT, resume, False, scratch)


@contextmanager
def interrupted(out: Path, scratch: Path | None, resume: bool = False) -> Iterator[Workspace]:
    """A run that is stopped at the end of the context."""
    with suppress(KeyboardInterrupt), begin(out, scratch, resume) as space:
        yield space
        raise KeyboardInterrupt


def stop(out: Path, scratch: Path | None) -> None:
    """A run that kept one part of an image and was stopped."""
    with interrupted(out, scratch) as space:
        Shelf(space.shelf("a") / "0", "a").save("size", Rescaling())


def test_parts_are_kept_there_and_nothing_is_left_when_the_output_has_its_name(tmp_path: Path, disk: Path) -> None:
    with begin(tmp_path / "out", disk) as space:
        Shelf(space.shelf("a") / "0", "a").save("size", Rescaling())
        assert space.parts() == 1
        assert [path.name for path in disk.iterdir()] == [place(disk, tmp_path / "out").name]
        assert not (space.folder / "images").exists()
        space.finish("a", {"files": [put(space, "a.txt")]})
        space.publish({})
    assert tree(tmp_path / "out").keys() == {"a.txt", RECORD}
    assert [*disk.iterdir(), *tmp_path.glob("out.work")] == []


def test_an_error_before_anything_was_kept_leaves_nothing(tmp_path: Path, disk: Path) -> None:
    with pytest.raises(ValueError, match="it"), begin(tmp_path / "out", disk):
        raise ValueError("it")
    assert [*tmp_path.iterdir()] == [disk]
    assert [*disk.iterdir()] == []


def test_a_run_is_gone_on_with_where_its_parts_are(tmp_path: Path, disk: Path) -> None:
    stop(tmp_path / "out", disk)
    assert begun(tmp_path / "out", PRINT).parts() == 1
    for scratch in (None, disk):
        with interrupted(tmp_path / "out", scratch, resume=True) as space:
            assert space.parts() == 1


def test_a_run_is_not_gone_on_with_elsewhere_and_not_lost(tmp_path: Path, disk: Path) -> None:
    stop(tmp_path / "out", disk)
    (other := tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match=rf"parts of the run to resume are elsewhere: {disk}; say --work {disk}"):
        begin(tmp_path / "out", other, resume=True).__enter__()
    stop(tmp_path / "near", None)
    with pytest.raises(UsageError, match=r"are elsewhere: .*near.work; leave --work out"):
        begin(tmp_path / "near", other, resume=True).__enter__()
    assert [*other.iterdir()] == []
    assert begun(tmp_path / "out", PRINT).parts() == begun(tmp_path / "near", PRINT).parts() == 1


def test_a_run_whose_disk_is_gone_is_not_gone_on_with(tmp_path: Path, disk: Path) -> None:
    stop(tmp_path / "out", disk)
    disk.rename(tmp_path / "unplugged")
    with pytest.raises(StorageError, match="No such file"):
        begin(tmp_path / "out", None, resume=True).__enter__()
    (tmp_path / "unplugged").rename(disk)
    assert begun(tmp_path / "out", PRINT).parts() == 1


@pytest.mark.parametrize("whose", ["the run's", "somebody's"])
def test_what_a_run_had_elsewhere_goes_when_it_is_begun_anew_if_it_is_its_own(
    tmp_path: Path, disk: Path, whose: str
) -> None:
    stop(tmp_path / "out", disk)
    if whose == "somebody's":
        shutil.rmtree(place(disk, tmp_path / "out"))
        place(disk, tmp_path / "out").mkdir()
        (place(disk, tmp_path / "out") / "diary.txt").write_text("mine")
    with begin(tmp_path / "out", None) as space:
        assert space.parts() == 0
    assert bool([*disk.iterdir()]) == (whose == "somebody's")


def test_what_no_run_made_is_not_worked_in(tmp_path: Path, disk: Path) -> None:
    where = place(disk, tmp_path / "out")
    where.mkdir()
    (where / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="no run made this, so none works in it"):
        begin(tmp_path / "out", disk).__enter__()
    assert tree(disk) == {f"{where.name}/diary.txt": "mine"}
    shutil.rmtree(where)
    where.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="no run made this"):
        begin(tmp_path / "out", disk).__enter__()


def test_a_folder_that_another_machine_works_in_is_not_taken(tmp_path: Path, disk: Path) -> None:
    where = place(disk, tmp_path / "out")
    where.mkdir()
    (where / MARK).write_bytes(MARKED)
    with held(where), pytest.raises(StorageError, match="another run writes to this output"):
        begin(tmp_path / "out", disk).__enter__()


@pytest.mark.parametrize("name", ["nowhere", "out", "out.work", "out.work/deep", "file"])
def test_a_folder_that_does_not_serve_is_refused_before_anything_is_begun(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    if name.startswith("out"):
        stop(tmp_path / "out", None)
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    said = "the run's own" if name.startswith("out") else "no such folder"
    with pytest.raises(UsageError, match=rf"{said}.* --work"):
        writable(Workspace(tmp_path / "out", overwrite=True, scratch=tmp_path / name))


def test_outputs_of_one_name_have_places_of_their_own(tmp_path: Path, disk: Path) -> None:
    for folder in ("a", "b"):
        stop(tmp_path / folder / "out", disk)
    assert len([*disk.iterdir()]) == 2
    assert len(place(disk, tmp_path / ("ß" * 120)).name.encode()) <= 255
