"""`seg models add NAME` by the nickname that the collection gives a model, against a stand-in of the collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import packages
from tests.unit.registry.test_fetch import Server
from toolkit.cli import main
from toolkit.registry import fetch, zoo
from toolkit.registry.store import Store

NICKNAME = "tiny-heron"


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    files = packages.good()
    server = Server({f"/{NICKNAME}/{name}": data for name, data in files.items()})
    listed = zoo.Listed(NICKNAME, "Tiny Net", "a test", (), "MIT", ("onnx",), "v0", packages.sha256(files["rdf.yaml"]),
                        server.address + "/{id}/{file}?version={version}")  # fmt: skip
    monkeypatch.setattr(zoo, "models", lambda: (listed,))
    yield server
    server.stop()


def test_a_model_is_installed_under_its_nickname_and_is_known_by_it(
    collection: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "add", NICKNAME]) == 0
    assert [entry.name for entry in Store().entries()] == [NICKNAME]
    assert main(["models", "test", NICKNAME]) == 0
    assert "passed" in capsys.readouterr().out
    assert main(["models", "add", NICKNAME]) == 0, "twice is once"
    assert len(Store().entries()) == 1


def test_what_was_cut_off_goes_on(collection: Server, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"/{NICKNAME}/in.npy"
    collection.cut = fetch.CHUNK + 100 if len(collection.files[name]) > fetch.CHUNK + 100 else 200
    assert main(["models", "add", NICKNAME]) == 5
    assert "goes on where it stopped" in capsys.readouterr().err
    collection.cut = 0
    assert main(["models", "add", NICKNAME]) == 0


def test_what_is_not_what_the_index_says_is_refused(collection: Server, capsys: pytest.CaptureFixture[str]) -> None:
    collection.files[f"/{NICKNAME}/rdf.yaml"] += b"\n"
    assert main(["models", "add", NICKNAME]) == 5
    assert "not what its sha256 says" in capsys.readouterr().err
    assert Store().entries() == []


def test_a_file_that_is_not_what_the_description_says_is_refused(
    collection: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    collection.files[f"/{NICKNAME}/in.npy"] += b"!"
    assert main(["models", "add", NICKNAME]) == 5
    assert "sha256" in capsys.readouterr().err
    assert Store().entries() == []


def test_a_collection_that_moved_is_followed(collection: Server) -> None:
    collection.moved = {f"/{NICKNAME}/{n}": f"/new/{n}" for n in packages.good()}
    for old, new in collection.moved.items():
        collection.files[new] = collection.files.pop(old)
    assert main(["models", "add", NICKNAME]) == 0


def test_without_a_network_it_says_what_to_do(collection: Server, capsys: pytest.CaptureFixture[str]) -> None:
    collection.stop()
    assert main(["models", "add", NICKNAME]) == 5
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert NICKNAME in error
    collection.stop = lambda: None  # type: ignore[method-assign]


def test_a_wrong_nickname_gets_the_nearest_one(collection: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x.tif", "--model", "tiny-herron"]) in (2, 5)
    assert main(["models", "add", "tiny-herron"]) == 2
    assert "see seg models search" in capsys.readouterr().err
