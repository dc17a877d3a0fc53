"""A folder of two kinds of images, of which the model knows one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MIXED = "mixed"
KNOWN, NEW = ("dsb2018", "val", 40), ("usiigaci", "train", 10)
"""Data set, split and number of images that lie in the folder."""
TEST = 5
"""Images of either's `test`, evenly spread."""


def mixed(data: Path, place: Path) -> Path:
    """The folder, made of the data sets in `data` if it is not there yet."""
    out = place / MIXED
    if out.is_dir():
        return out
    draft = out.with_name(f"{MIXED}.part")
    shutil.rmtree(draft, ignore_errors=True)
    splits: dict[str, list[str]] = {"train": [], "test": []}
    for name, split, count in (KNOWN, NEW):
        source = data / name
        said = json.loads((source / "splits.json").read_text(encoding="utf8"))
        for part, wanted, many in (("train", split, count), ("test", "test", TEST)):
            names = sorted(said[wanted])
            chosen = [names[at * len(names) // many] for at in range(many)]
            splits[part] += chosen
            for kind in ("images", "masks"):
                (draft / kind).mkdir(parents=True, exist_ok=True)
                for image in chosen:
                    shutil.copyfile(source / kind / f"{image}.tif", draft / kind / f"{image}.tif")
    (draft / "splits.json").write_text(json.dumps(splits), encoding="utf8")
    (draft / "meta.json").write_text(
        json.dumps({"axes": "YX", "masks": "YX", "licence": "of its parts"}), encoding="utf8"
    )
    draft.rename(out)
    return out
