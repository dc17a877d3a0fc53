"""Plugins that are installed for real: a module and a dist-info folder with an entry point."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import numpy as np

GOOD = '''
"""A complete healthy method."""
from pathlib import Path
from typing import Literal

from toolkit.api import Instances, Network, PostProcessor, hookimpl

SEG_API = 2


class GoodNetwork(Network):
    kind: Literal["good"] = "good"

    def stride(self, ndim):
        return (1,) * ndim

    def build(self, channels, heads, ndim):
        from good_module import GoodModule
        return GoodModule(channels, heads)


class GoodPostProcessor(PostProcessor):
    kind: Literal["good"] = "good"

    def assemble(self, prediction, backend):
        from scipy.ndimage import label
        return Instances.from_labels(label(backend.to_numpy(prediction["foreground"][0]) > 0.5)[0])


@hookimpl
def seg_networks():
    return [GoodNetwork]


@hookimpl
def seg_postprocessors():
    return [GoodPostProcessor]


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "good.yaml"]
'''

GOOD_MODULE = """
import torch


class GoodModule(torch.nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.names = [head.name for head in heads]
        self.sizes = [head.channels for head in heads]
        self.out = torch.nn.Conv2d(channels, sum(self.sizes), 1)

    def forward(self, image):
        return dict(zip(self.names, torch.split(self.out(image), self.sizes, dim=1)))
"""

GOOD_RECIPE = """
schema: toolkit.recipe/1
name: good
network: {kind: good}
loss: {kind: bce_dice}
postprocess: {kind: good}
tiling: {window: [64, 64], overlap: 16}
training: {crop: [64, 64]}
"""

FINE = '''
"""A healthy metric, quick to check."""
from typing import ClassVar, Literal

from toolkit.api import Metric, hookimpl

SEG_API = 2


class Difference(Metric):
    kind: Literal["difference"] = "difference"
    lower_is_better: ClassVar[tuple[str, ...]] = ("difference",)

    def count(self, truth, predicted):
        return {"difference": abs(len(truth.instances) - len(predicted))}

    def summarise(self, counts):
        return {"difference": sum(c["difference"] for c in counts) / len(counts)}


@hookimpl
def seg_metrics():
    return [Difference]
'''

MARK = "import pathlib; pathlib.Path(__file__).with_suffix('.imported').write_text('')\n"
"""First line of every bad plugin: tells that it was imported."""

API = "from toolkit.api import hookimpl\nSEG_API = 2\n"

BAD = {
    "raises": "raise RuntimeError('bad on purpose')",
    "exits": "raise SystemExit(3)",
    "kills": "import os; os._exit(7)",
    "lacks": "import a_module_that_is_not_there",
    "misspells": "def broken(:",
    "older": "SEG_API = 1",
    "newer": "SEG_API = 3",
    "silent": "X = 1",
    "unknown": API + "@hookimpl\ndef seg_networkz():\n    return []",
    "unmarked": API + "def seg_networks():\n    return []",
    "hook": API + "@hookimpl\ndef seg_losses():\n    raise ValueError('bad on purpose')",
    "rubbish": API + "@hookimpl\ndef seg_metrics():\n    return 42",
    "nothing": API + "@hookimpl\ndef seg_metrics():\n    return None",
    "attribute": "X = 1",
    "gpu": "raise RuntimeError('Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU')",
    "hangs": "import time; print('still here', flush=True); time.sleep(60)",
    "recipe": API + "@hookimpl\ndef seg_recipes():\n    return [__file__ + '.yaml']",
    "half": API
    + "from toolkit.api import Loss\nclass L(Loss):\n    pass\n@hookimpl\ndef seg_losses():\n    return [L]",
}
"""Kinds of broken plugin, by name: the text of the module after `MARK`."""

SAID = {
    "raises": "RuntimeError: bad on purpose",
    "exits": "SystemExit: 3",
    "kills": "ended the process with status 7",
    "lacks": "No module named 'a_module_that_is_not_there'",
    "misspells": "SyntaxError",
    "older": "this toolkit has SEG_API 2: see docs/moving-to-api-2.md",
    "newer": "is written for SEG_API 3",
    "silent": "does not say SEG_API",
    "unknown": "did you mean 'seg_networks'?",
    "unmarked": "write @hookimpl above it",
    "hook": "ValueError: bad on purpose",
    "rubbish": "seg_metrics returned no sequence: 42",
    "nothing": "seg_metrics returned no sequence: None",
    "attribute": "has no attribute 'plugin'",
    "gpu": "Found no NVIDIA driver on your system.",
    "hangs": "took longer than",
    "recipe": "a recipe is missing",
    "half": "it lacks build, heads, targets",
}
"""Part of the line that names each."""


def install(folder: Path, name: str, module: str, text: str, entry: str = "") -> None:
    """Write a module and the metadata of a distribution that offers it as plugin `name`."""
    (folder / f"{module}.py").write_text(dedent(text).lstrip(), encoding="utf8")
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf8")
    (about / "entry_points.txt").write_text(f"[toolkit.plugins]\n{name} = {module}{entry}\n", encoding="utf8")


def install_good(folder: Path) -> None:
    """The healthy plugins `good`, with a model, and `fine`."""
    from safetensors.numpy import save_file

    install(folder, "good", "good_plugin", GOOD)
    install(folder, "fine", "fine_plugin", FINE)
    (folder / "good_module.py").write_text(GOOD_MODULE, encoding="utf8")
    (folder / "good.yaml").write_text(GOOD_RECIPE, encoding="utf8")
    weights = {"out.weight": np.full((1, 1, 1, 1), 20, np.float32), "out.bias": np.full(1, -10, np.float32)}
    save_file(weights, folder / "good.safetensors")


def install_bad(folder: Path, kind: str, name: str = "bad") -> None:
    """A broken plugin of one kind; `double` is one that has a kind of `good`."""
    module = f"bad_{kind}"
    text = BAD.get(kind, GOOD.replace("good.yaml", "bad.yaml"))
    (folder / "bad.yaml").write_text(GOOD_RECIPE.replace("name: good", "name: bad"), encoding="utf8")
    install(folder, name, module, MARK + text, ":plugin" if kind == "attribute" else "")
