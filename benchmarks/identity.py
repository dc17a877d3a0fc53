"""Do the same heads still give the same objects? Digests of instances and scores, made of heads in a folder.

    python benchmarks/identity.py FOLDER DIGESTS.json [--write]

FOLDER holds `NAME.npz`: the heads of an image `(C, *S)` and `about`, JSON with the recipe, its plugin, the
post-processor and the voxel size. Every case is assembled from one window in one block and from small windows in small
blocks, with pieces in memory and in files. Digests are those of heads → instances: what a network says differs between
CPUs, so the heads do not travel. With `--write` the digests are written, else compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from toolkit.files import plain_yaml
from toolkit.pipeline.passes import sweep
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.testing.blockwise import pieces, prediction
from toolkit.values.instances import Instances
from toolkit.values.tiles import Block, Lattice, blocks

WINDOW = {2: 96, 3: 24}
BLOCK = {2: 64, 3: 16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heads", type=Path)
    parser.add_argument("digests", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    said = parser.parse_args()
    known = {} if said.write else json.loads(said.digests.read_text(encoding="utf8"))
    found, wrong = {}, []
    for path in sorted(said.heads.glob(f"*{said.only}*.npz")):
        found[path.stem] = digests(path)
        if not said.write and any(found[path.stem][key] != known[path.stem][key] for key in ("one", "many")):
            wrong.append(path.stem)
        sys.stdout.write(f"{path.stem}: {found[path.stem]['objects']}{' DIFFERS' * (path.stem in wrong)}\n")
        sys.stdout.flush()
    if said.write:
        said.digests.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    sys.exit(f"{len(wrong)} of {len(found)} differ: {', '.join(wrong)}" if wrong else 0)


def digests(path: Path) -> dict[str, object]:
    """Of one case."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        heads = {name: file[name] for name in file.files if name != "about"}
    catalogue = Catalogue()
    recipe = Recipe.parse(plain_yaml.load(about["recipe"].encode()), catalogue, about["owner"])
    kind = catalogue.find("postprocessors", about["postprocess"]["kind"], about["owner"])
    post = kind.model_validate(about["postprocess"])
    whole = prediction(heads, tuple(about["voxel_size"]))
    window = tuple(min(w, WINDOW[whole.ndim]) for w in recipe.tiling.window)
    lattice = Lattice(whole.shape, window, (8,) * whole.ndim)
    work = blocks(lattice, BLOCK[whole.ndim])
    one = sweep(post, pieces(post, whole), [Block(0, whole.box)])
    many = digest(sweep(post, pieces(post, whole, lattice), work))
    loose = digest(sweep(post, pieces(post, whole, lattice, loose=True), work, loose=True))
    with tempfile.TemporaryDirectory() as folder:
        filed = digest(sweep(post, pieces(post, whole, lattice, folder=Path(folder)), work))
    if not many == loose == filed:
        raise SystemExit(f"{path.stem}: pieces in files, or loose ones, give other objects than strict ones in memory")
    return {"one": digest(one), "many": many, "objects": len(one), "exact": post.exact}


def digest(found: Instances) -> str:
    """sha256 of objects and scores."""
    return hashlib.sha256(found.digest.encode() + found.scores.astype("<f4").tobytes()).hexdigest()


if __name__ == "__main__":
    main()
