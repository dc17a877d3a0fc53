"""Corrections are checked, merged, kept with their history, taken back; a person's files and the result stay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.battery.writing import tree
from tests.unit.correct.results import found, result, save, without
from toolkit.cli import main
from toolkit.correct.correct import TAKEN, correct
from toolkit.correct.history import History
from toolkit.correct.result import opened
from toolkit.errors import InputError, UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("made"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "images.seg"))


def test_the_result_and_the_edited_files_are_never_touched(out: Path) -> None:
    save(out, "a", without(found(out, "a")))
    folder = opened(out).corrections
    before = tree(out), tree(folder)
    done = correct(opened(out), by="Ada")
    assert done.number == 1
    (one,) = done.images
    assert one.changes is not None
    assert (one.changes.removed, one.changes.added, one.changes.changed) == (1, 0, 0)
    assert tree(out) == before[0]
    assert {k: v for k, v in tree(folder).items() if not k.startswith("history/")} == before[1]


def test_the_history_says_what_when_by_whom_and_from_which_files(out: Path) -> None:
    path = save(out, "a", without(found(out, "a")))
    correct(opened(out), by="Ada", right=["b:1,2", "c:0:20,0:20"])
    rows = {row["image"]: row for row in History(opened(out).corrections).rows}
    assert rows.keys() == {"a", "b", "c"}
    assert rows["a"]["by"] == "Ada"
    assert rows["a"]["removed"] == 1
    assert rows["a"]["file"][0] == path.name
    assert rows["b"]["marks"] == ["1,2"]
    assert rows["c"]["marks"] == ["0:20,0:20"]
    assert rows["b"]["file"] is None
    assert all(row["at"].endswith("Z") and len(row["image_sha256"]) == 64 for row in rows.values())
    assert (opened(out).corrections / "right.csv").read_text().splitlines() == [
        "image,what", 'b,"1,2"', 'c,"0:20,0:20"',
    ]  # fmt: skip


def test_what_was_merged_is_not_merged_again_until_it_changes(out: Path) -> None:
    save(out, "a", without(found(out, "a")))
    assert correct(opened(out)).number == 1
    again = correct(opened(out))
    assert again.number is None
    assert again.images[0].note == "nothing new"
    save(out, "a", without(without(found(out, "a"))))
    third = correct(opened(out))
    assert third.number == 2
    assert third.images[0].changes is not None
    assert third.images[0].changes.removed == 2  # of what was found, not of what was merged


def test_a_merge_is_taken_back_and_the_one_before_stands_again(out: Path) -> None:
    save(out, "a", without(found(out, "a")))
    correct(opened(out))
    save(out, "a", without(without(found(out, "a"))))
    correct(opened(out), right=["b"])
    corrections = opened(out).corrections
    assert {n: row["merge"] for n, row in History(corrections).standing().items()} == {"a": 2, "b": 2}
    assert main(["correct", str(out), "--undo"]) == 0
    history = History(corrections)
    assert {n: row["merge"] for n, row in history.standing().items()} == {"a": 1}
    assert len(history.state(history.standing()["a"]).objects) == len(np.unique(found(out, "a"))) - 2
    notes = {one.image: one.note for one in correct(opened(out)).images}
    assert notes == dict.fromkeys(("a", "b"), TAKEN)
    assert correct(opened(out), names=["a"]).number == 3
    assert main(["correct", str(out), "--undo"]) == 0
    assert main(["correct", str(out), "--undo"]) == 0
    assert main(["correct", str(out), "--undo"]) == 2


@pytest.mark.parametrize("again", [["--whole"], ["--right", "a"], ["a"]])
def test_what_was_taken_back_is_merged_again_when_it_is_said_to_be_right(
    again: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(out, "a", without(found(out, "a")))
    assert main(["correct", str(out), "--whole"]) == 0
    assert main(["correct", str(out), "--undo"]) == 0
    capsys.readouterr()
    assert main(["correct", str(out)]) == 0
    assert f"same a: {TAKEN}" in " ".join(capsys.readouterr().out.split())
    assert main(["correct", str(out), *again]) == 0
    assert "merged a: 0 added, 1 removed" in capsys.readouterr().out
    assert History(opened(out).corrections).standing()["a"]["merge"] == 2
    assert main(["correct", str(out), "--whole"]) == 0
    assert "same   a: nothing new" in capsys.readouterr().out


def test_corrections_outlive_a_run_that_overwrites_the_result(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made.parent, tmp_path / "all")
    out = tmp_path / "all" / "images.seg"
    save(out, "a", without(found(out, "a")))
    correct(opened(out))
    folder = opened(out).corrections
    before = tree(folder)
    run = ["run", str(tmp_path / "all" / "images"), "--model", str(tmp_path / "all" / "model"), "-o", str(out)]
    changed = ["--set", "postprocess.foreground=0.9", "--workers", "1", "--no-preview", "--overwrite"]
    (out / "mine.tif").write_bytes(b"mine")
    assert main([*run, *changed]) == 2
    (out / "mine.tif").unlink()
    assert main([*run, *changed]) == 0
    assert tree(folder) == before
    # Images in the folder of corrections are none of its neighbours'.
    assert main(["run", str(tmp_path / "all"), "--model", str(tmp_path / "all" / "model"), "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda labels: labels[:-1], "the corrections have another shape than the image"),
        (lambda labels: np.stack([labels, np.where(labels == 1, 1, 0)]), "an id is used in two layers"),
        (lambda labels: np.where(labels == 1, 2, labels), "objects lie in several pieces"),
    ],
)
def test_a_bad_edit_is_a_sentence_and_the_others_are_merged(
    edit: object, said: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(out, "a", edit(found(out, "a")))  # type: ignore[operator]
    save(out, "b", without(found(out, "b")))
    assert main(["correct", str(out)]) == 5
    told = capsys.readouterr()
    assert said in told.err
    assert "error: 1 of 2 images could not be merged: a; the others are done" in told.err
    assert "merged b: 0 added, 1 removed, 0 changed" in told.out
    assert History(opened(out).corrections).standing().keys() == {"b"}
    assert "Traceback" not in told.err


def test_a_file_of_no_image_and_two_of_one_are_named_and_the_others_are_merged(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = save(out, "z", found(out, "a"))
    assert main(["correct", str(out)]) == 5
    assert f"error: this corrects no image of the result: {strange}; " in capsys.readouterr().err
    assert main(["correct", str(out), "--json"]) == 5
    (one,) = json.loads(capsys.readouterr().out)["images"]
    assert one["image"] == "images.seg.corrections/z.tif"
    save(out, "a", without(found(out, "a")))
    for name in ("b", "b.labels"):
        save(out, name, without(found(out, "b")))
    assert main(["correct", str(out), "--whole", "--right", "c:1"]) == 5
    told = capsys.readouterr()
    assert "merged a: 0 added, 1 removed, 0 changed" in told.out
    assert "merged c: 0 added" in told.out
    assert f"failed this corrects no image of the result: {strange}; " in told.err
    assert (
        f"failed two files correct one image: {strange.with_name('b.labels.tif')} and {strange.with_name('b.tif')}"
        in told.err
    )
    assert "2 of 4 images could not be merged: b, images.seg.corrections/z.tif; the others are done" in told.err
    assert History(opened(out).corrections).standing().keys() == {"a", "c"}
    assert main(["correct", str(out), "a"]) == 0  # what was not asked for is not complained of


def test_an_object_of_minus_ones_is_said_to_be_unannotated_and_not_removed(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = without(found(out, "a"))
    first = labels[labels > 0].min()
    save(out, "a", np.where(labels == first, -1, labels).astype(np.int16))
    assert main(["correct", str(out)]) == 0
    assert "merged a: 0 added, 1 removed, 0 changed" in (said := " ".join(capsys.readouterr().out.split()))
    assert "as they were, 1 unannotated; right: 0 objects" in said


def test_an_image_that_is_gone_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made.parent, tmp_path / "all")
    out = tmp_path / "all" / "images.seg"
    record = json.loads((out / "run.json").read_text())
    for image in record["images"]:
        image["input"] = str(tmp_path / "all" / "images" / Path(image["input"]).name)
    (out / "run.json").write_text(json.dumps(record))
    save(out, "a", without(found(out, "a")))
    (tmp_path / "all" / "images" / "a.tif").unlink()
    (one,) = correct(opened(out)).images
    assert "the image of this result is gone" in str(one.error)


def test_a_mark_that_is_refused_leaves_the_table_as_it_was(out: Path) -> None:
    correct(opened(out), right=["b:1"])
    table = opened(out).corrections / "right.csv"
    before = table.read_bytes()
    for bad in ("a:0:5", "a:9999", "b:0:5"):
        (one,) = correct(opened(out), right=[bad]).failed
        assert one.image == bad[0]
        assert table.read_bytes() == before
    assert not correct(opened(out), right=["a:1", "c:0:20,0:20"]).failed


def test_a_table_of_marks_is_read_as_spreadsheets_write_it_and_refused_without_its_header(out: Path) -> None:
    table = opened(out).corrections / "right.csv"
    table.parent.mkdir()
    table.write_bytes(b"\xef\xbb\xbfimage,what\r\na,whole\r\n")
    (one,) = correct(opened(out)).images
    assert one.changes is not None
    assert one.changes.whole
    table.write_text("a,whole\n")
    with pytest.raises(InputError, match="does not begin with the columns image and what"):
        correct(opened(out))


def test_what_is_wrong_with_the_folder_is_said(out: Path) -> None:
    with pytest.raises(UsageError, match="there are no corrections"):
        correct(opened(out))
    with pytest.raises(UsageError, match="this result has no image 'z'"):
        correct(opened(out), right=["z"])
    with pytest.raises(UsageError, match="says not what is right"):
        correct(opened(out), right=["a:x"])
    with pytest.raises(InputError, match="this is no result of a run"):
        opened(out.parent)


def test_a_history_that_is_damaged_or_torn_is_noticed(out: Path) -> None:
    save(out, "a", without(found(out, "a")))
    correct(opened(out))
    history = History(opened(out).corrections)
    row = history.standing()["a"]
    path = history.folder / row["state"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(InputError, match="a part of the history of corrections is damaged"):
        history.state(row)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="a part of the history of corrections is damaged"):
        history.state(row)
    base = history.folder / f"{row['base']}.objects"
    whole = base.read_bytes()
    base.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    save(out, "a", without(without(found(out, "a"))))
    assert "history of corrections is damaged" in str(correct(opened(out)).images[0].error)
    base.write_bytes(whole)
    with (history.folder / "journal.txt").open("ab") as stream:
        stream.write(b'{"merge": 2, "image"')  # killed while it wrote
    save(out, "b", without(found(out, "b")))
    assert correct(opened(out), names=["b"]).number == 2
    assert History(opened(out).corrections).standing().keys() == {"a", "b"}


def test_the_answer_is_one_document(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(out, "a", without(found(out, "a")))
    assert main(["correct", str(out), "--whole", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["merge"] == 1
    assert said["images"][0] | {"right": 0, "same": 0} == {
        "image": "a", "added": 0, "removed": 1, "changed": 0, "same": 0, "right": 0, "whole": True,
        "unannotated": 0,
    }  # fmt: skip


def test_a_file_of_somebody_else_under_the_name_of_the_journal_stays(out: Path) -> None:
    save(out, "a", without(found(out, "a")))
    folder = opened(out).corrections / "history"
    folder.mkdir()
    (folder / "journal.txt").write_text("my thesis")
    with pytest.raises(UsageError, match="this is no history of corrections"):
        correct(opened(out))
    assert (folder / "journal.txt").read_text() == "my thesis"
    (folder / "journal.txt").rename(folder / "thesis.txt")
    (folder / "journal.txt").symlink_to(folder / "thesis.txt")
    with pytest.raises(UsageError, match="a link is not written over"):
        correct(opened(out))
    assert (folder / "thesis.txt").read_text() == "my thesis"
