"""All that authors of plugins import. What `__all__` names is what `SEG_API` promises; in tests, `toolkit.testing` too.

Importing this imports nothing heavy.
"""

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
    "Truth",
    "UsageError",
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
    "usual_offsets",
]
