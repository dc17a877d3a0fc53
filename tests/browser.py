"""Chromium as tests drive it: over two pipes, so that nothing but the standard library is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
    "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage", "--force-device-scale-factor=1",
)  # fmt: skip


class Browser:
    """One tab. `complaints`: what the page wrote to its console, and what its policy refused."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._number, self._rest = write, read, 0, b""
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command of the DevTools protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages(time.monotonic() + 60):
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
        raise TimeoutError(method)

    def _messages(self, until: float) -> Iterator[dict[str, Any]]:
        while (left := until - time.monotonic()) > 0:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                yield self._heard(json.loads(text))
            if select.select([self._read], [], [], left)[0]:
                data = os.read(self._read, 2**20)
                assert data, "the browser is gone"
                self._rest += data

    def _heard(self, message: dict[str, Any]) -> dict[str, Any]:
        about = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
            case "Log.entryAdded":
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.asked.append(about["request"]["url"])
        return message

    def open(self, address: str, width: int = 1400, height: int = 900) -> None:
        """Open a page and wait until it says that it is ready."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=address)
        self.wait("document.documentElement?.dataset.ready === 'true'")

    def prefer(self, scheme: str) -> None:
        """`dark` or `light`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never: {script}; {self.complaints}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Until no tile is on its way any more and all is drawn."""
        self.wait("!running && !waiting.size && !asked")
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.wait("!running && !waiting.size && !asked")

    def click(self, x: float, y: float, times: int = 1) -> None:
        for _ in range(times):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        (x, y), (u, v) = start, stop
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for part in (0.25, 0.5, 0.75, 1.0):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + (u - x) * part, y=y + (v - y) * part,
                      button="left", buttons=1)  # fmt: skip
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=u, y=v, button="left", clickCount=1)

    def press(self, key: str) -> None:
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element in pixels of the window."""
        script = f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
        x, y = self.run(script + "return [b.x + b.width / 2, b.y + b.height / 2]; })()")
        return x, y

    def shot(self, file: Path) -> Path:
        """A picture of the window."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return file


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium with its profile in `folder`."""
    assert CHROMIUM, "no Chromium is installed"
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    process = subprocess.Popen(
        ["bash", "-c", command, CHROMIUM, *FLAGS, f"--user-data-dir={folder}"], pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        process.wait(20)
