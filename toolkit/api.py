"""All that authors of plugins import. What `__all__` names is what `SEG_API` promises; in tests, `toolkit.testing` too.

Importing this imports nothing heavy: the parts of the plain U-Net, which need torch, and `jit`, which needs numba, come
when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toolkit.builtin.networks.plain_unet import Plain, PlainUNet
from toolkit.builtin.postprocessors.components import STEPS, Component, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground, rounded
from toolkit.builtin.postprocessors.mutex import partition as mutex_partition
from toolkit.builtin.postprocessors.mutex import usual_offsets
from toolkit.errors import InputError, ModelError, OutOfMemory, PluginError, ToolkitError, UsageError, nearest
from toolkit.gpu import kernels
from toolkit.gpu.backend import Backend
from toolkit.gpu.cores import cores
from toolkit.plugins import hookimpl
from toolkit.plugins.alone import Alone
from toolkit.plugins.functions import metric, postprocessor
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.metric import Counts, Metric
from toolkit.plugins.passes import Pass
from toolkit.plugins.phases import Member, Phase, Team
from toolkit.plugins.search import Search
from toolkit.plugins.specs import Loss, Network, PostProcessor, Spec
from toolkit.steps.connected import components
from toolkit.steps.stitch import stitch
from toolkit.steps.survey import Because, Deduced, Fit, Survey
from toolkit.values import runs
from toolkit.values.fragment import Fragment
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.offsets import Offset, at_offset, ends
from toolkit.values.piece import Piece
from toolkit.values.prediction import Head, Prediction
from toolkit.values.thought import Marks, Thought
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth
from toolkit.values.voxels import Voxels

if TYPE_CHECKING:
    from toolkit.builtin.networks.plain_unet_module import Trunk
    from toolkit.builtin.networks.plain_unet_module import begin as begin_heads
    from toolkit.builtin.networks.plain_unet_module import level as unet_level
    from toolkit.gpu.jit import jit

_TORCH = "toolkit.builtin.networks.plain_unet_module"
_HEAVY = {
    "Trunk": (_TORCH, "Trunk"),
    "begin_heads": (_TORCH, "begin"),
    "jit": ("toolkit.gpu.jit", "jit"),
    "unet_level": (_TORCH, "level"),
}

__all__ = [
    "STEPS",
    "Alone",
    "Backend",
    "Because",
    "Box",
    "Component",
    "Counts",
    "Deduced",
    "Fit",
    "Fragment",
    "FromForeground",
    "Gathering",
    "Head",
    "Image",
    "InputError",
    "Instances",
    "Joined",
    "Loss",
    "Marks",
    "Member",
    "Metric",
    "ModelError",
    "Network",
    "Offset",
    "OutOfMemory",
    "Pass",
    "Phase",
    "Piece",
    "Plain",
    "PlainUNet",
    "PluginError",
    "PostProcessor",
    "Prediction",
    "Search",
    "Spec",
    "Survey",
    "Team",
    "Thought",
    "ToolkitError",
    "Trunk",
    "Truth",
    "UsageError",
    "Voxels",
    "at_offset",
    "begin_heads",
    "components",
    "cores",
    "divide",
    "ends",
    "hookimpl",
    "jit",
    "kernels",
    "metric",
    "mutex_partition",
    "nearest",
    "need",
    "postprocessor",
    "rounded",
    "runs",
    "stitch",
    "unet_level",
    "usual_offsets",
]


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HEAVY[name]
    globals()[name] = value = getattr(import_module(module), attribute)
    return value
