"""How true a plan is: memory and time that `--dry-run` says, against those of the run, over several scenes.

    python benchmarks/forecast.py [SCENE …]

Volumes of balls with networks that cost nothing, and images of blobs with the shipped models; each in a process of its
own, one worker. Memory is the most that the process holds (RSS), time its CPU seconds after the plan.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

SHARE = 30
BALLS = {
    f"{method} {size}³ in blocks of {block or 256}": (method, size, block)
    for method, size, block in (
        ("threshold", 192, 64), ("sdt", 192, 64), ("mutex", 192, 64), ("embedseg", 192, 64), ("ppp", 128, 64),
        ("threshold", 192, None), ("sdt", 192, None), ("embedseg", 192, None), ("sdt", 256, 128),
    )
}  # fmt: skip
IMAGES = {f"{model} {side}²": (model, side) for model, side in (("embedseg", 256), ("embedseg", 1024), ("cpv", 768))}


def balls(folder: Path, method: str, size: int, block: int | None) -> tuple[Any, Path, int | None]:
    """A session whose network costs nothing, its volume, and the size of blocks."""
    from benchmarks.large_balls import Ideal, model, volume
    from toolkit.pipeline.session import Session

    session = Session(model(folder, method), "cpu")
    session.__dict__["predictor"] = Ideal(method, SHARE)
    return session, volume(folder / "a.zarr", size, SHARE), block


def image(folder: Path, name: str, side: int) -> tuple[Any, Path, None]:
    """A session of a shipped model, and an image of blobs."""
    import tifffile

    from toolkit.pipeline.session import Session
    from toolkit.testing.scenes import blobs

    tifffile.imwrite(folder / "a.tif", blobs((side, side), seed=1).image.read()[0])
    return Session(f"{name}:{name}", "cpu"), folder / "a.tif", None


def measured(make: Callable[..., tuple[Any, Path, int | None]], *scene: Any) -> dict[str, float]:
    """A plan and its run, in this process."""
    from toolkit import io
    from toolkit.pipeline.elsewhere import Bench
    from toolkit.running.options import Options
    from toolkit.running.plan import peak, plan
    from toolkit.running.run import run

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        session, path, block = make(folder, *scene)
        found, bench = io.search([str(path)]).images, Bench(session)
        options = Options(folder / "out", block=block, preview=False)
        ahead = plan(found, bench, options)
        began = time.process_time()
        run(found, bench, options)
        seconds = time.process_time() - began
        return {"said_s": ahead.seconds, "took_s": seconds, "said_gb": ahead.gigabytes, "took_gb": peak()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"default: all of {', '.join([*BALLS, *IMAGES])}")
    parser.add_argument("--here", action="store_true", help="measure one in this process")
    given = parser.parse_args()
    if given.here:
        (name,) = given.scenes
        found = measured(balls, *BALLS[name]) if name in BALLS else measured(image, *IMAGES[name])
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for name in given.scenes or [*BALLS, *IMAGES]:
        done = subprocess.run([sys.executable, __file__, name, "--here"], stdout=subprocess.PIPE, text=True, check=True)
        one = json.loads(done.stdout.splitlines()[-1])
        said = [
            f"{one[f'said_{unit}']:6.2f} {unit} said, {one[f'took_{unit}']:6.2f} taken: "
            f"{one[f'said_{unit}'] / one[f'took_{unit}']:4.2f}"
            for unit in ("gb", "s")
        ]
        sys.stdout.write(f"{name:34} {' · '.join(said)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
