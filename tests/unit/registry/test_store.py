from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from toolkit.cli.wish import First, Wish, chosen
from toolkit.errors import InputError, ModelError, StorageError, UsageError
from toolkit.io import Found
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import package, resolve
from toolkit.registry import store as registry
from toolkit.registry.gate.archive import Files, open_package
from toolkit.registry.install import Wanted, install
from toolkit.registry.store import Entry, Store, _connect


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    return Store()


def files(folder: Path, text: str = "x") -> Files:
    return open_package(packages.zipped(folder / f"{text}.zip", {"rdf.yaml": text.encode(), "a/b": b"1"}))


def entry(name: str = "nuclei", version: str = "1") -> Entry:
    return Entry(name, version, "")


def test_looking_creates_nothing(store: Store) -> None:
    assert store.entries() == []
    assert store.find("nuclei") is None
    assert not store.trusts("0")
    assert not store.home.exists()


def test_a_model_is_found_by_name_version_and_alias(store: Store, tmp_path: Path) -> None:
    first, second = files(tmp_path, "1"), files(tmp_path, "2")
    store.add(first, entry(version="1.2"), ["best"])
    store.add(second, entry(version="1.3"))
    found = {r: e.version for r in ("nuclei", "nuclei@1.2", "nuclei@1.3", "nuclei@best") if (e := store.find(r))}
    assert found == {"nuclei": "1.2", "nuclei@1.2": "1.2", "nuclei@1.3": "1.3", "nuclei@best": "1.2"}
    store.note("nuclei@1.3", alias="best", notes="better", scores={"S@0.50": 0.9})
    best = store.get("nuclei")
    assert (best.version, best.notes, best.scores, best.sha256) == ("1.3", "better", {"S@0.50": 0.9}, second.digest)
    assert store.find("nuclei@2") is None
    with pytest.raises(UsageError, match="did you mean 'nuclei'"):
        store.get("nuclea")


def test_adding_twice_is_adding_once_and_another_model_is_refused(store: Store, tmp_path: Path) -> None:
    one = store.add(files(tmp_path), entry())
    assert store.add(files(tmp_path), entry()) == one
    assert len(list((store.home / "objects").iterdir())) == 1
    with pytest.raises(UsageError, match="another model has this name"):
        store.add(files(tmp_path, "y"), entry())
    assert [e.sha256 for e in store.entries()] == [one.sha256]
    assert store.gc() == []


def test_a_model_whose_files_do_not_get_their_place_is_not_in_the_registry(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.objects, "place", full)
        with pytest.raises(StorageError, match="the disk is full"):
            store.add(files(tmp_path), entry(), ["best"])
    assert store.entries() == []
    assert store.add(files(tmp_path), entry()).aliases == ()


def test_a_flipped_byte_is_found_whenever_the_model_is_used(store: Store, tmp_path: Path) -> None:
    there = store.add(files(tmp_path), entry())
    target = store.folder(there) / "a" / "b"
    target.write_bytes(b"2")
    with pytest.raises(ModelError, match="installed model is damaged"):
        store.folder(there)


def test_gc_frees_what_no_name_refers_to_and_nothing_else(store: Store, tmp_path: Path) -> None:
    kept, gone = files(tmp_path, "kept"), files(tmp_path, "gone")
    store.add(kept, entry("kept"))
    store.add(gone, entry("gone"))
    store.add(gone, entry("also-gone"))
    store.remove("gone")
    assert store.gc() == []
    store.remove("also-gone")
    assert store.gc() == [(gone.digest, 5)]
    assert [p.name for p in (store.home / "objects").iterdir()] == [kept.digest]


def test_names_that_could_be_paths_or_options_are_refused(store: Store, tmp_path: Path) -> None:
    for name in ("", "../x", "a/b", "-x", "a b", "A", "nuclei@1", "a" * 129):
        with pytest.raises(UsageError, match="this is not a name"):
            store.add(files(tmp_path), entry(name))


def test_trust_is_for_one_digest(store: Store) -> None:
    store.trust("a" * 64, {"files": {"net.py": "b" * 64}})
    assert store.trusts("a" * 64)
    assert not store.trusts("c" * 64)


def test_a_registry_that_is_no_database_is_a_sentence(store: Store) -> None:
    store.home.mkdir()
    (store.home / "registry.sqlite").write_bytes(b"garbage" * 100)
    with pytest.raises(StorageError, match=r"is damaged: .*registry.sqlite .*put a copy of it back"):
        store.entries()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE models")


@pytest.mark.parametrize("damage", [Path.unlink, emptied, half])
def test_packages_whose_registry_was_lost_are_neither_freed_nor_forgotten(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store.add(files(tmp_path), entry())
    there = sorted(store.home.rglob("*/objects/*"))
    path = store.home / "registry.sqlite"
    damage(path)
    left = path.read_bytes() if path.exists() else None
    for use in (
        store.gc,
        store.entries,
        lambda: store.find("nuclei"),
        lambda: store.add(files(tmp_path, "y"), entry("y")),
        lambda: store.trust("a" * 64, {}),
    ):
        with pytest.raises(StorageError, match=r"is lost.*registry.sqlite.*add each folder in there again"):
            use()
        assert (path.read_bytes() if path.exists() else None) == left
    assert sorted(store.home.rglob("*/objects/*")) == there


def test_nothing_is_freed_where_a_page_of_the_registry_is_damaged(store: Store, tmp_path: Path) -> None:
    store.add(files(tmp_path), entry())
    store.remove("nuclei")
    path = store.home / "registry.sqlite"
    path.write_bytes(path.read_bytes()[:-4096] + b"\0" * 4096)
    with pytest.raises(StorageError, match=r"is damaged: .*registry.sqlite .*put a copy of it back"):
        store.gc()
    assert len(list((store.home / "objects").iterdir())) == 1


def test_what_stands_beside_a_lost_registry_can_be_added_again(store: Store, tmp_path: Path) -> None:
    made = store.add(files(tmp_path), entry())
    (store.home / "registry.sqlite").unlink()
    (store.home / "objects").rename(tmp_path / "objects")
    again = store.add(open_package(tmp_path / "objects" / made.sha256), entry("again"))
    assert [e.reference for e in store.entries()] == ["again@1"]
    assert again.sha256 == made.sha256


def test_the_first_package_gets_its_place_when_the_registry_has_its_tables(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed between the two leaves a registry that can be written to."""

    class Killed(BaseException):
        pass

    place = store.objects.place

    def dies(*what: Any) -> None:
        place(*what)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store.objects, "place", dies)
        with pytest.raises(Killed):
            store.add(files(tmp_path), entry())
    assert store.entries() == []
    assert store.add(files(tmp_path), entry()).reference == "nuclei@1"


@pytest.mark.parametrize("name", ["objects", "incoming", "downloads"])
def test_a_link_in_the_registry_is_not_followed_where_something_is_written_or_removed(
    store: Store, tmp_path: Path, name: str
) -> None:
    store.add(files(tmp_path), entry())
    store.remove("nuclei")
    (store.home / "downloads").mkdir()
    elsewhere = Path((store.home / name).rename(tmp_path / "elsewhere"))
    (store.home / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    package = packages.zipped(tmp_path / "y.zip", {"rdf.yaml": b"y"})
    for use in (
        store.gc,
        lambda: store.add(files(tmp_path), entry()),
        lambda: install(str(package), Wanted("y"), store),
    ):
        with pytest.raises(UsageError, match=f"a link is not written through: .*/{name}; "):
            use()
    assert sorted(elsewhere.rglob("*")) == before


def test_a_model_that_a_plugin_ships_needs_no_registry(store: Store) -> None:
    store.home.mkdir()
    (store.home / "registry.sqlite").write_bytes(b"garbage" * 100)
    found = Found(Path("a.tif"), "a")
    shipped = Wish(("a.tif",), plugin="embedseg", recipe=resolve.load("embedseg:embedseg", Catalogue()).recipe.plain())
    assert chosen(shipped, Catalogue(), First(shipped, found))[0].sha256
    named = replace(shipped, plugin=None, model="embedseg:embedseg")
    assert chosen(named, Catalogue(), First(named, found))[0].sha256
    with pytest.raises(StorageError, match="damaged"):
        resolve.load("embedseg", Catalogue())


def test_a_home_that_is_a_file_is_a_sentence(store: Store, tmp_path: Path) -> None:
    store.home.write_bytes(b"")
    with pytest.raises(StorageError, match="SEG_HOME"):
        store.add(files(tmp_path), entry())


def test_an_acknowledged_row_is_synced_before_it_is_acknowledged(store: Store, tmp_path: Path) -> None:
    store.add(files(tmp_path), entry())
    with sqlite3.connect(store.home / "registry.sqlite") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()
    with closing(_connect(store.home / "registry.sqlite")) as own:
        assert own.execute("PRAGMA synchronous").fetchone() == (3,)


def test_who_may_write_to_the_registry_is_settled_before_anything_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that reads first and then finds another writer cannot wait: it fails."""
    store.add(files(tmp_path), entry())
    monkeypatch.setattr(registry, "PATIENCE", 0.1)
    with store._writing(), pytest.raises(StorageError, match="locked"), store._writing():
        pass


@pytest.mark.linux
def test_files_and_folders_of_a_package_are_synced_before_its_row_is_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    fsync = os.fsync

    def synced(handle: int) -> None:
        said.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    store.add(files(tmp_path), entry())
    assert sorted(said) == ["a", "b", "files", "objects", "rdf.yaml"]
    assert said[-1] == "objects"


def test_an_installed_package_runs_by_its_name(store: Store, tmp_path: Path) -> None:
    path = packages.zipped(tmp_path / "m.zip", packages.good())
    there = install(str(path), Wanted(aliases=("best",), notes="n"), store)
    assert (there.name, there.version, there.licence, there.source) == ("tiny-net", "1.2", "MIT", str(path))
    path.unlink()
    model = resolve.load("tiny-net@best", Catalogue())
    assert (model.reference, model.sha256) == ("tiny-net@1.2", there.sha256)


def test_a_training_run_can_be_installed(store: Store, tmp_path: Path) -> None:
    from toolkit.plugins.recipe import Recipe

    run = tmp_path / "run"
    run.mkdir()
    plugins = Catalogue(allow=())
    recipe = Recipe.load(plugins.find("recipes", "unet"), plugins, "builtin", ["network.maps=[4, 8]"])
    (run / "recipe.yaml").write_text(recipe.dump())
    package.save(recipe.network.build(1, recipe.heads, 2), run / "best.safetensors")
    (run / "last.safetensors").write_bytes(b"not kept")
    there = install(str(run), Wanted(name="mine"), store)
    assert sorted(p.name for p in store.folder(there).iterdir()) == ["best.safetensors", "recipe.yaml"]
    assert resolve.load("mine", plugins).recipe == recipe
    resolve.load("mine", plugins).build()


def test_the_recipe_of_a_run_of_somebody_else_cannot_be_a_bomb(store: Store, tmp_path: Path) -> None:
    lines = [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)),
    ]
    (tmp_path / "recipe.yaml").write_text("\n".join(lines))
    with pytest.raises(ModelError, match="aliases"):
        resolve.load(str(tmp_path), Catalogue(allow=()))


@pytest.mark.parametrize("damage", ["weights", "test"])
def test_a_package_whose_files_are_not_what_it_says_is_not_installed(store: Store, tmp_path: Path, damage: str) -> None:
    name = {"weights": "net.onnx", "test": "in.npy"}[damage]
    made = packages.good()
    path = packages.zipped(tmp_path / "m.zip", {**made, name: made[name][:-1] + b"!"})
    with pytest.raises(ModelError, match="sha256"):
        install(str(path), Wanted(), store)
    assert store.entries() == []


def test_a_name_that_nobody_has_says_what_would_add_it(store: Store, tmp_path: Path) -> None:
    plugins = Catalogue(allow=())
    for name, said in (
        ("affable-shark", "seg models add affable-shark"),
        ("affable-sharc", "did you mean 'affable-shark'"),
        ("qqqqqqq", "seg models search"),
    ):
        with pytest.raises(UsageError, match=said):
            resolve.load(name, plugins)
    with pytest.raises(InputError, match="no such model package"):
        resolve.load(str(tmp_path / "none.zip"), plugins)
    with pytest.raises(UsageError, match="collection"):
        install("qqqqqqq", Wanted(), store)


def test_a_folder_of_a_plugins_name_does_not_hide_the_plugin(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unet").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="ships no trained model"):
        resolve.load("unet", Catalogue(allow=()))
