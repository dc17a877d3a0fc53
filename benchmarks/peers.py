"""CPU seconds and memory of this toolkit and of its peers on the same images, in one run; a Markdown table.

    python benchmarks/peers.py [NAME…] [--rounds 1] [--folder build/peers] [--pip-extra "…"]

Each peer gets an environment of its own in the folder, by pip; one that cannot be installed or run is named, with the
reason, and the others go on. Everything on one thread, each command from nothing, the least of some rounds. Peers have
random weights, because nobody's servers are asked for theirs: their network is run through their own interface, with
their own windows, and its output is dropped; objects are made of the maps that a perfect network would give
(`benchmarks/peers/`). Ours have the weights that they ship, write table, picture and record as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from against import ROOT, SEG, TILE
from peer import ABOUT_512, theirs

from toolkit.testing.scenes import blobs

HERE = Path(__file__).resolve().parent / "peers"
MINUTES = 8
"""An installation may take as long."""
FOLDERS = {"64": (64, 1), "2048": (2048, 1), "256": (256, 20)}
"""Side and number of the images of each folder."""
ONE = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "NUMBA_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
"""Of whom each gets one thread."""
COLUMNS = [
    "what",
    "one of 64², s",
    "2048²: s (network + objects)",
    "images/s",
    "GiB",
    "20 of 256²: s (network + objects)",
    "images/s",
    "GiB",
    "`--help`, s",
]
ASK = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"


@dataclass(frozen=True)
class Peer:
    """What pip is asked for, the script in `peers/`, the help, and what the line of the table says beside the name."""

    wanted: list[str]
    help: list[str]
    says: str
    shown: list[str] = field(default_factory=list)


def constrained(name: str) -> str:
    """`NAME==VERSION` of constraints.txt: an unpinned torch may bring gigabytes of CUDA."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


TORCH = [constrained("torch"), constrained("torchvision")]
PEERS = {
    "stardist": Peer(["stardist==0.9.2", "tensorflow-cpu==2.21.0", "tifffile"], ["bin/stardist-predict2d"],
                     "grid 2; objects: NMS of perfect maps", ["tensorflow_cpu", "numpy"]),
    "cellpose": Peer(["cellpose==3.1.1.3", *TORCH, "tifffile"], ["bin/cellpose"],
                     "`CPnet`; objects: flows of perfect maps", ["torch", "numpy"]),
    "biapy": Peer(["biapy==3.7.1", *TORCH, "tifffile"], ["bin/python", str(HERE / "of_biapy.py")],
                  "U-Net; objects: watershed of perfect maps", ["torch", "numpy"]),
}  # fmt: skip
OURS = {
    f"seg {plugin}, {bits}": ["--plugin", plugin, "--set", f"tiling.precision={bits}"]
    for plugin in ("embedseg", "cpv")
    for bits in ("bfloat16", "float32")
}
CORE = "bioimageio.core"


@dataclass(frozen=True)
class Spent:
    """CPU seconds of a command and its children, GiB of the largest of them, and what it said last."""

    cpu: float
    memory: float
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*OURS, CORE, *PEERS])}")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument("--pip-extra", default="", help="more arguments of pip")
    said = parser.parse_args()
    if unknown := set(said.names) - {*OURS, CORE, *PEERS}:
        parser.error(f"nobody is called {', '.join(sorted(unknown))}")
    os.environ.update({f"{name}_THREADS": "1" for name in ONE}, CUDA_VISIBLE_DEVICES="")
    folder = said.folder.resolve()
    data = {name: made(folder / "data" / name, *size) for name, size in FOLDERS.items()}
    chosen = said.names or [*OURS, CORE, *PEERS]
    missing, ready = [], []
    for name in chosen:
        try:
            prepare(name, folder, data, shlex.split(said.pip_extra))
            ready.append(name)
        except (OSError, RuntimeError) as error:
            missing.append(f"{name} could not be installed or prepared: {error}")
    print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    for name in ready:
        try:
            print(line(name, folder, data, said.rounds), flush=True)
        except (OSError, RuntimeError) as error:
            missing.append(f"{name} could not be run: {error}")
    print("\n" + "\n".join(missing))


def made(folder: Path, side: int, count: int) -> Path:
    """Images of generated nuclei and their labels; larger ones are made of tiles."""
    for kind in ("images", "truth"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    small, times = min(side, TILE), max(1, side // TILE)
    for number in range(count):
        scene = blobs((small, small), count=max(1, small**2 // 3000), radius=(8.0, 14.0), seed=number)
        image, labels = scene.image.read()[0], scene.truth.layers[0]
        # the objects of each tile get numbers of their own
        base = np.arange(times**2, dtype=np.int32).reshape(times, times).repeat(small, 0).repeat(small, 1)
        tiled = np.tile(labels, (times, times))
        truth = np.where(tiled > 0, tiled + base * np.int32(labels.max()), 0).astype(np.int32)
        tifffile.imwrite(folder / "images" / f"{number:02}.tif", np.tile(image, (times, times)))
        tifffile.imwrite(folder / "truth" / f"{number:02}.tif", truth)
    return folder


def prepare(name: str, folder: Path, data: dict[str, Path], extra: list[str]) -> None:
    """All that is not measured: environments, perfect maps, the package."""
    if name == CORE and not (folder / "embedseg.zip").exists():
        shown = str(data["256"] / "images" / "00.tif")
        ran([*SEG, "export", "embedseg", "-o", str(folder / "embedseg.zip"), "--author", "A. Author", "--image", shown])
    if name in PEERS:
        installed(name, folder, data, extra)
    ran(command(name, folder, data["64"]))  # who compiles on the first run has done so


def installed(name: str, folder: Path, data: dict[str, Path], extra: list[str]) -> None:
    """The environment of a peer, and its perfect maps."""
    home, stamp = folder / name, folder / name / "made"
    if not stamp.exists() or stamp.read_text() != "\n".join(PEERS[name].wanted):
        ran([sys.executable, "-m", "venv", "--clear", str(home)])
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        ran([*pip, *extra, *PEERS[name].wanted], 60 * MINUTES)
        stamp.write_text("\n".join(PEERS[name].wanted))
    for where in data.values():
        ran([str(home / "bin" / "python"), str(HERE / f"of_{name}.py"), str(where), "prepare"])


def line(name: str, folder: Path, data: dict[str, Path], rounds: int) -> str:
    """Row of the table.

    Images per second are of network and objects, or, who does not say these apart, of all that a run takes longer than
    that of one image of 64².
    """
    found = {size: best([ran(command(name, folder, where)) for _ in range(rounds)]) for size, where in data.items()}
    cells = [said(name, folder), f"{found['64'].cpu:.1f}"]
    for size in ("2048", "256"):
        spent, parts = found[size], stages(found[size].said)
        work = sum(parts) if parts else spent.cpu - found["64"].cpu
        told = f"{spent.cpu:.1f} ({' + '.join(f'{each:.1f}' for each in parts)})" if parts else f"{spent.cpu:.1f}"
        cells += [told, f"{FOLDERS[size][1] / work:.2g}" if work > 0 else "–", f"{spent.memory:.1f}"]
    helped = best([ran([*helping(name, folder), "--help"]) for _ in range(rounds)])
    return f"| {' | '.join([*cells, f'{helped.cpu:.1f}'])} |"


def command(name: str, folder: Path, where: Path) -> list[str]:
    """What is measured."""
    images = sorted(map(str, (where / "images").iterdir()))
    if name in PEERS:
        return [str(folder / name / "bin" / "python"), str(HERE / f"of_{name}.py"), str(where)]
    if name == CORE:
        blocks = ABOUT_512 if where.name == "2048" else ""
        return theirs(str(folder / "embedseg.zip"), "pytorch_state_dict", blocks, images)
    out = ["-o", str(folder / "out"), "--overwrite", "--workers", "1", "--device", "cpu"]
    return [*SEG, "run", str(where / "images"), *OURS[name], *out]


def helping(name: str, folder: Path) -> list[str]:
    """The command whose help is asked for."""
    if name in PEERS:
        first, *rest = PEERS[name].help
        return [str(folder / name / first), *rest]
    return [str(Path(sys.executable).parent / "bioimageio")] if name == CORE else SEG


def said(name: str, folder: Path) -> str:
    """Name, versions and what is included."""
    if name in PEERS:
        peer = PEERS[name]
        return f"{ran([str(folder / name / 'bin' / 'python'), '-c', ASK, name, *peer.shown]).said}; {peer.says}"
    if name == CORE:
        return f"{ran([sys.executable, '-c', ASK, CORE, 'torch']).said}; our `embedseg`, float32; no objects, no files"
    ran_in = json.loads((folder / "out" / "run.json").read_text())["engine"]["precision"]
    return f"`{name.split(',')[0]}`, {ran_in}; everything, files and pictures too"


def stages(said: str) -> list[float]:
    """Seconds of the network and of the objects, where a peer says them."""
    return [json.loads(said)[stage] for stage in ("network", "objects")] if said.startswith("{") else []


def best(each: list[Spent]) -> Spent:
    """The least CPU seconds, with what was said then, and the most memory."""
    least = min(each, key=lambda spent: spent.cpu)
    return Spent(least.cpu, max(spent.memory for spent in each), least.said)


def ran(command: list[str], seconds: float | None = None) -> Spent:
    """Run it, or raise a RuntimeError with the last that it said."""
    ours = [str(ROOT), *map(str, sorted(path for path in (ROOT / "plugins").iterdir() if path.is_dir()))]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if command[0] == sys.executable:
        environment["PYTHONPATH"] = os.pathsep.join(ours)
    child = [sys.executable, "-c", CHILD, str(seconds or 0), *command]
    done = subprocess.run(child, env=environment, capture_output=True, text=True, check=True)
    code, cpu, memory, out, problem = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"exit {code}: {(problem.strip() or out.strip() or 'it said nothing').splitlines()[-1]}")
    return Spent(cpu, memory, (out.strip().splitlines() or [""])[-1])


CHILD = """
import json, resource, subprocess, sys
try:
    done = subprocess.run(sys.argv[2:], capture_output=True, text=True, timeout=float(sys.argv[1]) or None)
    code, out, problem = done.returncode, done.stdout[-2000:], done.stderr[-2000:]
except subprocess.TimeoutExpired:
    code, out, problem = 124, "", f"not done after {sys.argv[1]} s"
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, out, problem]))
"""


if __name__ == "__main__":
    main()
