from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import packages
from toolkit.errors import InputError, ModelError, UsageError
from toolkit.registry import fetch
from toolkit.registry.install import Wanted, install
from toolkit.registry.store import Store
from toolkit.registry.zoo import Listed


class Server:
    """Files over HTTP on this machine, with ranges; `cut` ends an answer after so many bytes, `moved` sends on."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.cut, self.asked = files, 0, list[tuple[str, str]]()
        self.moved: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: object) -> None:
        self.files = server
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name, wanted = self.path.partition("?")[0], self.headers.get("Range", "")
        self.files.asked.append((name, wanted))
        if name in self.files.moved:
            self.send_response(302)
            self.send_header("Location", self.files.moved[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if name not in self.files.files:
            self.send_error(404)
            return
        data = self.files.files[name]
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start : self.files.cut or None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    made = Server({f"/m/{name}": data for name, data in packages.good().items()})
    made.files["/m.zip"] = packages.zipped(tmp_path / "m.zip", packages.good()).read_bytes()
    yield made
    made.stop()


def test_a_zip_is_installed_from_its_address(server: Server) -> None:
    sha256 = packages.sha256(server.files["/m.zip"])
    told: list[tuple[str, int, int]] = []
    there = install(f"{server.address}/m.zip", Wanted(), Store(), sha256, lambda *a: told.append(a))
    assert (there.name, there.source) == ("tiny-net", f"{server.address}/m.zip")
    assert told[-1] == ("m.zip", len(server.files["/m.zip"]), len(server.files["/m.zip"]))
    assert not any((Store().home / "downloads").iterdir())


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    for server.cut in (fetch.CHUNK + 100, fetch.CHUNK + 200, 0):
        if server.cut:
            with pytest.raises(InputError, match="goes on where it stopped"):
                fetch.download(f"{server.address}/m.zip", None, tmp_path / "d")
    path = fetch.download(f"{server.address}/m.zip", packages.sha256(server.files["/m.zip"]), tmp_path / "d")
    assert path.read_bytes() == server.files["/m.zip"]
    assert [wanted for _, wanted in server.asked] == ["", f"bytes={fetch.CHUNK}-", f"bytes={fetch.CHUNK}-"]


def test_two_downloads_of_one_file_do_not_mix(server: Server, tmp_path: Path) -> None:
    address = f"{server.address}/m.zip"
    part = tmp_path / "d" / f"{packages.sha256(address.encode())[:32]}.part"
    part.parent.mkdir()
    part.write_bytes(b"another process is writing this")
    with fetch._own(part):
        found = fetch.download(address, packages.sha256(server.files["/m.zip"]), tmp_path / "d")
    assert found.read_bytes() == server.files["/m.zip"]
    assert part.read_bytes() == b"another process is writing this"


def test_a_partial_download_of_another_file_does_not_survive(server: Server, tmp_path: Path) -> None:
    server.cut = fetch.CHUNK + 100
    with pytest.raises(InputError):
        fetch.download(f"{server.address}/m.zip", None, tmp_path / "d")
    server.cut, server.files["/m.zip"] = 0, b"short"
    assert fetch.download(f"{server.address}/m.zip", packages.sha256(b"short"), tmp_path / "d").read_bytes() == b"short"


def test_a_download_that_is_not_what_its_sha256_says_is_refused(server: Server) -> None:
    with pytest.raises(InputError, match="sha256"):
        install(f"{server.address}/m.zip", Wanted(), Store(), "0" * 64)
    assert Store().entries() == []


def test_a_description_brings_the_files_that_it_names_and_no_others(server: Server) -> None:
    install(f"{server.address}/m/rdf.yaml?version=v0", Wanted(), Store())
    assert sorted(name for name, _ in server.asked) == [
        f"/m/{n}" for n in ("in.npy", "net.onnx", "out.npy", "rdf.yaml")
    ]


def test_a_model_of_the_collection_is_fetched_file_by_file(server: Server, tmp_path: Path) -> None:
    sha256 = packages.sha256(server.files["/m/rdf.yaml"])
    model = Listed("m", "M", "", (), "MIT", ("onnx",), "v0", sha256, server.address + "/{id}/{file}?version={version}")
    with fetch.listed(model, tmp_path / "d") as folder:
        assert sorted(p.name for p in folder.iterdir()) == ["in.npy", "net.onnx", "out.npy", "rdf.yaml"]
    server.files["/m/net.onnx"] += b"!"
    with pytest.raises(InputError, match="sha256"), fetch.listed(model, tmp_path / "d"):
        pass


def test_a_description_cannot_write_outside_its_folder(server: Server, tmp_path: Path) -> None:
    bad = packages.altered(packages.good(), lambda p: p["weights"]["onnx"].update(source="../../x"))
    server.files["/m/rdf.yaml"] = bad["rdf.yaml"]
    with pytest.raises((InputError, ModelError)):
        install(f"{server.address}/m/rdf.yaml", Wanted(), Store())
    assert not list(tmp_path.rglob("x"))


def test_an_address_that_anybody_could_change_needs_a_sha256() -> None:
    with pytest.raises(UsageError, match="anybody"):
        install("http://example.org/m.zip", Wanted(), Store(Path("/nonexistent")))


def test_an_absent_file_is_a_sentence(server: Server) -> None:
    with pytest.raises(InputError, match="404"):
        install(f"{server.address}/none.zip", Wanted(), Store())


def test_why_a_download_failed_is_said_in_the_words_of_the_system(server: Server, tmp_path: Path) -> None:
    for address, why in (
        (f"{server.address}/none.zip", "(the server says 404 Not Found); check the address"),
        ("https://127.0.0.1:1/m.zip", "(Connection refused); run it again"),
        (server.address.replace("http:", "https:") + "/m.zip", "SSL"),
    ):
        with pytest.raises(InputError) as caught:
            fetch.download(address, None, tmp_path)
        assert why in str(caught.value)
        assert "HTTPSConnectionPool" not in str(caught.value)


def test_a_neighbour_whose_name_begins_like_that_of_the_folder_is_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other layers would refuse before: each looks for itself."""
    (tmp_path / "stage").mkdir()

    def got(*_: object) -> Path:
        (tmp_path / "got").write_text("x")
        return tmp_path / "got"

    monkeypatch.setattr(fetch, "download", got)
    monkeypatch.setattr(fetch, "TemporaryDirectory", lambda **_: nullcontext(str(tmp_path / "stage")))
    monkeypatch.setattr(fetch.formats, "read", lambda _: None)
    monkeypatch.setattr(fetch, "_needed", lambda _: [SimpleNamespace(name="../stage-x/y", sha256=None)])
    described = fetch._described(str, "address", None, tmp_path, fetch.silent)
    with pytest.raises(InputError, match="outside the package"), described:
        pass
    assert not (tmp_path / "stage-x").exists()


def test_a_file_on_this_machine_is_what_its_sha256_says(tmp_path: Path) -> None:
    path, store = packages.zipped(tmp_path / "net.zip", packages.good()), Store(tmp_path / "home")
    right = packages.sha256(path.read_bytes())
    assert install(str(path), Wanted(), store, right.upper()).sha256
    with pytest.raises(InputError, match=f"the file is not what its sha256 says: .*net.zip; it is {right}"):
        install(str(path), Wanted(name="other"), store, "a" * 64)
    for source, sha256, said in (
        (path, "12", "this is no sha256: 12; it has 64 of 0-9 and a-f"),
        (tmp_path, right, "only a file has a sha256"),
        ("", None, "no model is named"),
    ):
        with pytest.raises(UsageError, match=said):
            install(str(source), Wanted(name="other"), store, sha256)
    assert {entry.name for entry in store.entries()} == {install(str(path), Wanted(), store).name}
