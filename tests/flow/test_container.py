"""Where nothing can be written but the output, as in a read-only container without a home, a run is a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import tifffile

from toolkit.testing.scenes import blobs

ENCLOSED = """
import sys
from pathlib import Path
from toolkit.registry.gate.sandbox import restrict
walled = restrict([Path("/")], Path(sys.argv.pop(1)))
for place in (Path.cwd(), Path(sys.argv.pop(1)), Path.home()):
    try:
        (place / "written").touch()
    except OSError:
        continue
    assert not walled, place
from toolkit.cli import main
sys.exit(main())
"""


def test_a_run_needs_no_place_but_its_output(tmp_path: Path) -> None:
    image, scratch = tmp_path / "image.tif", tmp_path / "scratch"
    scratch.mkdir()
    tifffile.imwrite(image, blobs((96, 96), count=6, radius=(8.0, 12.0)).image.read()[0])
    nowhere = {"HOME": "/nonexistent", "SEG_HOME": "/nonexistent/seg", "TMPDIR": str(scratch)}
    env = {**os.environ, **nowhere}
    env.pop("NUMBA_CACHE_DIR", None)
    asked = ["run", str(image), "--plugin", "embedseg", "--workers", "1", "-o", str(scratch / "out")]
    package = Path(__file__).resolve().parents[2] / "toolkit"
    command = [sys.executable, "-c", ENCLOSED, str(scratch), str(package), *asked]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    record = json.loads((scratch / "out" / "run.json").read_text())
    assert [image["objects"] > 0 for image in record["images"]] == [True]
