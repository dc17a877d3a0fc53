"""What is the same for all peers: a folder of images is read, predicted, made into objects and written.

A peer calls `main`. Its command is `python PEER.py FOLDER [prepare]`; FOLDER holds `images/*.tif` and labels,
`truth/*.tif`. `prepare` writes `PEER/*.npz`, maps that a perfect network would have said; it is not measured. Without
it the network runs on each image, what it says is dropped, because random weights say nothing, and objects are made of
the maps. Prints CPU seconds as JSON: to import and build (`start`), and of the `network` and the `objects` of all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile


def main(
    build: Callable[[], Any],
    predict: Callable[[Any, np.ndarray], object],
    perfect: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None,
    objects: Callable[[Any, dict[str, np.ndarray]], np.ndarray] | None = None,
) -> None:
    """`predict` gets the model and an image (y, x), `perfect` labels (y, x), `objects` the model and their maps."""
    folder = Path(sys.argv[1])
    kept = folder / Path(sys.argv[0]).stem
    if "prepare" in sys.argv:
        kept.mkdir(exist_ok=True)
        for path in sorted((folder / "truth").iterdir()) if perfect else []:
            np.savez(kept / path.stem, **perfect(tifffile.imread(path)))
        return
    model = build()
    spent = {"start": time.process_time(), "network": 0.0, "objects": 0.0}
    found = 0
    for path in sorted((folder / "images").iterdir()):
        image, at = tifffile.imread(path), time.process_time()
        predict(model, image)
        spent["network"] += time.process_time() - at
        if objects:
            maps, at = dict(np.load(kept / f"{path.stem}.npz")), time.process_time()
            labels = objects(model, maps)
            tifffile.imwrite(kept / f"{path.stem}.labels.tif", labels.astype("int32"), compression="zlib")
            spent["objects"] += time.process_time() - at
            found += int(labels.max())
    assert sys.__stdout__  # BiaPy has its own `print`
    sys.__stdout__.write(json.dumps({**spent, "found": found}) + "\n")
