"""Model packages from addresses: resumable, checked against their sha256, opened only afterwards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from toolkit.errors import InputError, StorageError, UsageError
from toolkit.registry.bioimageio import formats
from toolkit.registry.bioimageio.description import Description, File
from toolkit.registry.gate import refusing
from toolkit.registry.gate.archive import MOST_BYTES, open_package
from toolkit.registry.objects import STAGED
from toolkit.registry.zoo import RUNS, Listed

if TYPE_CHECKING:
    import requests

Tell = Callable[[str, int, int], None]
"""`tell(file, bytes so far, bytes in all)`; 0 in all if the server does not say."""
TIMEOUT = 30
"""Seconds without a byte after which a server is given up."""
CHUNK = 2**14
"""Bytes that are read at once; a server that stops in the middle of them costs them."""
LOCAL = ("127.0.0.1", "::1", "localhost")


def silent(file: str, done: int, total: int) -> None:
    """Tell nobody."""


def is_address(text: str) -> bool:
    """Whether this is an address and not a path or a name."""
    return text.startswith(("http://", "https://"))


@contextmanager
def package(address: str, sha256: str | None, downloads: Path, tell: Tell = silent) -> Iterator[Path]:
    """The package at an address, of a zip or of a description with its files beside it, as a path for a while.

    Raises `InputError` if the server does not give it, `ModelError` if it is not what `sha256` says.
    """
    if urlsplit(address).path.endswith((".yaml", ".yml")):
        with _described(lambda name: _beside(address, name), address, sha256, downloads, tell) as folder:
            yield folder
        return
    path = download(address, sha256, downloads, tell)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def listed(model: Listed, downloads: Path, tell: Tell = silent) -> Iterator[Path]:
    """The package of a model of the collection, as a folder for a while."""
    with _described(model.address, model.address("rdf.yaml"), model.sha256, downloads, tell) as folder:
        yield folder


@contextmanager
def _described(
    where: Callable[[str], str], address: str, sha256: str | None, downloads: Path, tell: Tell
) -> Iterator[Path]:
    downloads.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=STAGED, dir=downloads) as temporary:
        folder = Path(temporary)
        download(address, sha256, downloads, tell).replace(folder / "rdf.yaml")
        for file in _needed(formats.read(open_package(folder))):
            target = folder / file.name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InputError("the description names a file outside the package", file.name, "choose another model")
            target.parent.mkdir(parents=True, exist_ok=True)
            download(where(file.name), file.sha256, downloads, tell).replace(target)
        yield folder


def _needed(about: Description) -> list[File]:
    """The files that running and testing a model takes: not its pictures, not weights that cannot run here."""
    chosen = [about.weights[kind] for kind in RUNS[:2] if kind in about.weights]
    chosen = chosen or [about.weights[kind] for kind in RUNS[2:] if kind in about.weights]
    found = [file for weights in chosen for file in weights.files()]
    found += [t.test for t in (*about.inputs, *about.outputs) if t.test]
    return list({f.name: f for f in found}.values())


def download(address: str, sha256: str | None, downloads: Path, tell: Tell = silent) -> Path:
    """The file at an address. A download that was interrupted goes on where it stopped.

    Raises `UsageError` for an address that cannot be trusted, `InputError` if the server does not give it or gives
    something else than `sha256` says.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and sha256 is None and parts.hostname not in LOCAL:
        raise UsageError("anybody on the way could change this download", address, "use https, or say --sha256")
    import logging

    import pooch
    import requests

    # Pooch speaks to stderr of its own accord; what there is to say, `tell` says.
    logging.getLogger("pooch").setLevel(logging.ERROR)
    pooch.get_logger().setLevel("ERROR")
    downloads.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(address.encode()).hexdigest()[:32]
    # Another process may be downloading the same: each has a target of its own.
    name = f"{name}-{os.getpid()}"
    known = f"sha256:{sha256.lower()}" if sha256 else None
    try:
        with _own(downloads / f"{name}.part") as part:
            return Path(pooch.retrieve(address, known, fname=name, path=downloads, downloader=_Resuming(part, tell)))
    except requests.RequestException as error:
        refused = error.response is not None and error.response.status_code < 500
        cure = "check the address" if refused else "run it again: it goes on where it stopped"
        raise InputError("the download failed", f"{address} ({_reason(error)})", cure) from error
    except ValueError as error:
        raise InputError(
            "the download is not what its sha256 says", address, "ask its author, or check the sha256"
        ) from error
    except OSError as error:
        raise StorageError(
            "the download cannot be stored", f"{downloads} ({error})", "free space, or set SEG_HOME"
        ) from error


@contextmanager
def _own(part: Path) -> Iterator[Path]:
    """`part` for this process alone; another file, without what is in it, if another process is writing it."""
    import fcntl

    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            part = part.with_name(f"{part.stem}-{os.getpid()}.part")
        yield part


class _Resuming:
    """A downloader for pooch that keeps what it has in `part` until the file is whole."""

    def __init__(self, part: Path, tell: Tell) -> None:
        self._part, self._tell = part, tell

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        import requests

        have = self._part.stat().st_size if self._part.is_file() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                # What we have is all there is, or of another file: begin anew.
                self._part.unlink()
                return self(url, output_file, _)
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            have = have if resumed else 0
            total = have + int(answer.headers.get("content-length") or 0)
            with self._part.open("ab" if resumed else "wb") as stream:
                for chunk in answer.iter_content(CHUNK):
                    have += stream.write(chunk)
                    self._tell(urlsplit(url).path.rpartition("/")[2], have, total)
                    if have > MOST_BYTES:
                        raise InputError("this is too large for a model", url, "4 GB is the most")
        if total > have:
            raise requests.ConnectionError(f"{have} of {total} bytes came")
        self._part.replace(output_file)
        return None


def _reason(error: requests.RequestException) -> str:
    """Why a download failed, in the words of whoever says it first: the server, or the system."""
    import requests

    if error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"the server has said nothing for {TIMEOUT} s"
    # The library wraps what the system says in several layers, each of which repeats the address.
    inner: BaseException = error
    while not isinstance(inner, OSError) or isinstance(inner, requests.RequestException):
        layers = [one for one in (getattr(inner, "reason", None), *inner.args, inner.__cause__, inner.__context__)
                  if isinstance(one, BaseException)]  # fmt: skip
        if not layers:
            return " ".join(str(error).split())[:160]
        inner = layers[0]
    return inner.strerror or " ".join(str(inner).split())[:160]


def _beside(address: str, name: str) -> str:
    """The address of a file that lies beside another."""
    parts = urlsplit(address)
    with refusing("this address has no folder", address):
        folder = parts.path[: parts.path.rindex("/") + 1]
    return urlunsplit(parts._replace(path=folder + name))
