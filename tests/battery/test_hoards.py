"""What trusted code keeps where no folder shows it has a limit, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.battery.test_sandbox import child
from toolkit.errors import ModelError

pytestmark = [pytest.mark.slow, pytest.mark.linux]

HOARDS = {
    "files without a name": (
        40,
        "f = os.open('.', os.O_TMPFILE | os.O_RDWR); kept.append(f); os.write(f, bytes(2**24))",
    ),
    "files that are only mapped": (
        40,
        "f = open('a', 'wb+'); f.truncate(2**24); m = mmap.mmap(f.fileno(), 2**24); m[:] = bytes(2**24); "
        "kept.append(m); f.close(); os.remove('a')",
    ),
    "threads": (1200, "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"),
}
"""How often what is done. Nothing else keeps the code from so much of it."""


@pytest.mark.parametrize("what", HOARDS)
def test_what_no_folder_shows_is_counted_too(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    times, line = HOARDS[what]
    with pytest.raises(ModelError, match="own code failed"):
        child(f"\nimport mmap, os, threading, time\nthreading.stack_size(2**16)\nkept = []\nfor _ in range({times}):\n"
              f"    {line}\ntime.sleep(15)\n")  # fmt: skip
