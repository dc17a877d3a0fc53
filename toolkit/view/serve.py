"""The page on the loopback address of this machine, for whoever knows its token."""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from toolkit.errors import ToolkitError, UsageError
from toolkit.view.answers import Answers, answer
from toolkit.view.page import POLICY, page
from toolkit.view.scene import Scene

HERE = "127.0.0.1"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_log = logging.getLogger(__name__)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a browser went away", exc_info=True)


@contextmanager
def served(scene: Scene, port: int = 0) -> Iterator[tuple[ThreadingHTTPServer, str]]:
    """A server of a scene, and its address, which holds a new token. `port` 0 takes a free one; raises `UsageError` if
    it is taken."""
    token = secrets.token_urlsafe(24)
    try:
        server = _Server((HERE, port), _handler(scene, token))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "is in use" if error.errno == errno.EADDRINUSE else "may not be used"
        raise UsageError(f"the port {why}", f"--port {port}", "choose another, or leave it out") from error
    with server:
        yield server, f"http://{HERE}:{server.server_address[1]}/{token}/"


def _handler(scene: Scene, token: str) -> type[BaseHTTPRequestHandler]:
    answers, html = Answers(scene), page(scene).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "seg", ""

        def do_GET(self) -> None:
            port = self.connection.getsockname()[1]
            # A name that another site lets lead here is none of ours: that site would read what is shown.
            if self.headers.get("Host") not in (f"{HERE}:{port}", f"localhost:{port}"):
                self._say(HTTPStatus.FORBIDDEN)
                return
            given, *words = self.path.removeprefix("/").split("/")
            if not secrets.compare_digest(given.encode(), token.encode()) or not words:
                self._say(HTTPStatus.NOT_FOUND)
            elif words == [""]:
                self._say(HTTPStatus.OK, html, "text/html; charset=utf-8")
            else:
                self._answer(words)

        def _answer(self, words: list[str]) -> None:
            try:
                data = answer(answers, words)
            except ToolkitError as error:
                _log.warning("%s", error)
                data = None
            status = HTTPStatus.NOT_FOUND if data is None else HTTPStatus.OK
            self._say(status, data or b"", "application/octet-stream")

        def _say(self, status: HTTPStatus, data: bytes = b"", kind: str = "text/plain") -> None:
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            if kind.startswith("text/html"):
                self.send_header("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (as the standard library calls it)
            _log.debug(format, *args)

    return Handler
