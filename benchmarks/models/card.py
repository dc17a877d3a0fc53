"""Train several models at once on one card, in a given time.

    python benchmarks/models/card.py PLAN.yaml OUT --seconds S [--device cuda:0]

PLAN lists groups: `data` (a data set), `makers` (processes that make crops) and `models`: `name`, `recipe` (a file, or
the name of one that comes with a plugin), `start` (a model whose weights it begins with, or none), `changes`
(`field=value`). The models of a group see the same crops, those of the first one's recipe, each with the targets of
its own losses: crops are what a card waits for, so they are made once. The learning rate falls with the time that is
left, whatever a step takes; the averaged weights are written to OUT (16 bits) every `EVERY` seconds and at the end.

Unlike `seg train` this neither validates nor can it be resumed: `seg tune` judges what it leaves.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

AHEAD, EVERY, SPARE, REPLAN = 48, 60.0, 6.0, 100
"""Steps that crops are ahead; seconds between two copies of the weights; seconds kept for the last one; steps after
which it is asked anew how many fit into what is left."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--part", help="for the processes that this one starts")
    said = parser.parse_args()
    if said.part:
        kind, group, number, end = said.part.split(":")
        (make if kind == "make" else learn)(said, int(group), int(number), float(end))
        return
    end = time.time() + said.seconds
    said.out.mkdir(parents=True, exist_ok=True)
    groups = yaml.safe_load(said.plan.read_text(encoding="utf8"))
    parts = []
    for g, group in enumerate(groups):
        shelf(said, g).mkdir(parents=True)
        parts += [f"make:{g}:{n}" for n in range(group["makers"])]
        parts += [f"learn:{g}:{n}" for n in range(len(group["models"]))]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(said.plan), str(said.out), "--seconds", str(said.seconds),
             "--device", said.device, "--part", f"{part}:{end}"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for part in parts
    ]  # fmt: skip
    try:
        learners = [process for part, process in zip(parts, started, strict=True) if part.startswith("learn")]
        worst = max(process.wait() for process in learners)
    finally:
        for process in started:
            process.kill()
        for g in range(len(groups)):
            shutil.rmtree(shelf(said, g), ignore_errors=True)
    sys.exit(worst)


def shelf(said: argparse.Namespace, group: int) -> Path:
    """Where the crops of a group lie until all of its models have seen them: in memory where there is such a folder."""
    root = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    return root / f"crops-{said.out.resolve().as_posix().replace('/', '-')}-{group}"


def recipes(group: dict[str, Any]) -> list[Any]:
    """The recipes of the models of a group."""
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.recipe import recipe_named

    catalogue = Catalogue()
    return [recipe_named(model["recipe"], catalogue, model.get("changes", ()))[0] for model in group["models"]]


def make(said: argparse.Namespace, group: int, number: int, end: float) -> None:
    """Make every `makers`-th step's crops, with the targets of all models, some steps ahead of the slowest of them."""
    from safetensors.numpy import save_file

    from toolkit.io import open_dataset
    from toolkit.training.data import Crops, _stack

    about = yaml.safe_load(said.plan.read_text(encoding="utf8"))[group]
    all_recipes, folder = recipes(about), shelf(said, group)
    crops = Crops(open_dataset(about["data"]), all_recipes[0], sharers=about["makers"])
    training = all_recipes[0].training
    step = number
    while time.time() < end:
        done = [int(path.read_text() or 0) for path in folder.glob("*.done")]
        slowest = min(done) if len(done) == len(about["models"]) else 0
        if step > slowest + AHEAD:
            time.sleep(0.005)
            continue
        samples = [crops.sample(np.random.default_rng((training.seed, step, i))) for i in range(training.batch)]
        columns = {"voxels": np.stack([sample.voxels for sample in samples])}
        for m, recipe in enumerate(all_recipes):
            for at, (_, loss) in enumerate(recipe.taught):
                rows = [loss.targets(sample.truth) for sample in samples]
                columns |= {f"{m}/{at}.{name}": _stack([row[name] for row in rows]) for name in rows[0]}
        made = folder / f"{step}.making"
        save_file({name: np.ascontiguousarray(array) for name, array in columns.items()}, made)
        made.rename(folder / f"{step}.crops")
        if step >= about["makers"] and step - about["makers"] < slowest:
            (folder / f"{step - about['makers']}.crops").unlink(missing_ok=True)
        step += about["makers"]


def learn(said: argparse.Namespace, group: int, number: int, end: float) -> None:
    """Train one model until the time is up."""
    import torch
    from safetensors import safe_open

    from toolkit.gpu.backend import Backend
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.phases import OWN
    from toolkit.registry import package, resolve
    from toolkit.training.run import Run
    from toolkit.training.training import Training

    about = yaml.safe_load(said.plan.read_text(encoding="utf8"))[group]
    model, recipe, folder = about["models"][number], recipes(about)[number], shelf(said, group)
    start = resolve.load(model["start"], Catalogue()) if model.get("start") else None
    torch.backends.cudnn.benchmark = True  # all crops are of one size
    run = Run(Path(tempfile.mkdtemp()), recipe, start)
    training = Training(run, Backend(said.device), 10**6)
    finished = package.network(recipe)
    at: list[float] = []
    kept = time.time()
    while True:
        now = time.time()
        if now > end - SPARE or now > kept + EVERY:
            kept = now
            finished.load_state_dict(training.team.average[OWN])
            package.save(finished, said.out / f"{model['name']}.safetensors", half=True)
            if now > end - SPARE:
                break
        step = training.progress.step
        source = folder / f"{step}.crops"
        if not source.exists():
            time.sleep(0.002)
            continue
        with safe_open(source, "np") as file:
            own = [name for name in file.keys() if name == "voxels" or name.startswith(f"{number}/")]  # noqa: SIM118
            batch = {name.removeprefix(f"{number}/"): file.get_tensor(name) for name in own}
        terms = training.step([batch])
        (folder / f"{number}.done").write_text(str(step + 1))
        at.append(time.time())
        if len(at) in (30, 60) or len(at) % REPLAN == 0:
            pace = (at[-1] - at[-min(len(at), REPLAN)]) / (min(len(at), REPLAN) - 1)
            training.plan(step + 2 + int(max(0.0, end - SPARE - at[-1]) / pace))
            told = {"step": step + 1, "planned": training.progress.steps, "steps/s": round(1 / pace, 1), **terms}
            sys.stdout.write(f"{model['name']} {json.dumps(told)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
