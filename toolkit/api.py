"""All that authors of plugins import. What `__all__` names is what `SEG_API` promises; in tests, `toolkit.testing` too.

Importing this imports nothing heavy: the parts of the plain U-Net, which need torch, come when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toolkit.builtin.networks.plain_unet import Plain, PlainUNet
from toolkit.builtin.postprocessors.foreground import STEPS, Foreground, Piece, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.builtin.postprocessors.mutex import partition as mutex_partition
from toolkit.builtin.postprocessors.mutex import usual_offsets
from toolkit.errors import InputError, ModelError, OutOfMemory, PluginError, ToolkitError, UsageError, nearest
from toolkit.gpu import kernels
from toolkit.gpu.backend import Backend
from toolkit.gpu.cores import cores
from toolkit.plugins import hookimpl
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.specs import Counts, Loss, Metric, Network, Pass, PostProcessor, Search, Spec
from toolkit.steps.stitch import Fragment, stitch
from toolkit.steps.survey import Because, Deduced, Fit, Survey
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.offsets import Offset, ends, seen_from
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    from toolkit.builtin.networks.plain_unet_module import Trunk
    from toolkit.builtin.networks.plain_unet_module import begin as begin_heads
    from toolkit.builtin.networks.plain_unet_module import level as unet_level

_HEAVY = {"Trunk": "Trunk", "begin_heads": "begin", "unet_level": "level"}
"""Parts of the plain U-Net by their names there."""

__all__ = [
    "STEPS",
    "Backend",
    "Because",
    "Box",
    "Counts",
    "Deduced",
    "Fit",
    "Foreground",
    "Fragment",
    "FromForeground",
    "Gathering",
    "Head",
    "Image",
    "InputError",
    "Instances",
    "Loss",
    "Metric",
    "ModelError",
    "Network",
    "Offset",
    "OutOfMemory",
    "Pass",
    "Piece",
    "Plain",
    "PlainUNet",
    "PluginError",
    "PostProcessor",
    "Prediction",
    "Search",
    "Spec",
    "Survey",
    "ToolkitError",
    "Trunk",
    "Truth",
    "UsageError",
    "begin_heads",
    "cores",
    "divide",
    "ends",
    "hookimpl",
    "kernels",
    "mutex_partition",
    "nearest",
    "need",
    "seen_from",
    "stitch",
    "unet_level",
    "usual_offsets",
]


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module("toolkit.builtin.networks.plain_unet_module")
    globals()[name] = value = getattr(module, _HEAVY[name])
    return value
