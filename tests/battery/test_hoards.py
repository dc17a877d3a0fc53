"""What trusted code keeps where no folder shows it has a limit, too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.battery.test_sandbox import child
from toolkit.errors import ModelError

pytestmark = [pytest.mark.slow, pytest.mark.linux]

HOARDS = {
    "files without a name": "f = os.open('.', os.O_TMPFILE | os.O_RDWR); kept.append(f); os.write(f, bytes(2**24))",
    "files that are only mapped": "f = open('a', 'wb+'); f.truncate(2**26); m = mmap.mmap(f.fileno(), 2**26)\n    "
    "m[:] = bytes(2**26); kept.append(m); f.close(); os.remove('a')",
    "threads": "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
}


@pytest.mark.parametrize("what", HOARDS)
def test_what_no_folder_shows_is_counted_too(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    begin = "\nimport mmap, os, threading, time\nthreading.stack_size(2**16)\nkept = []\nfor _ in range(10**5):\n    "
    keep = "    time.sleep(0.001)\ntime.sleep(99)\n"
    began = time.monotonic()
    with pytest.raises(ModelError, match="own code failed"):
        child(f"{begin}{HOARDS[what]}\n{keep}")
    assert time.monotonic() - began < 60
