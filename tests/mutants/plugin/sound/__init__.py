"""A plugin without a fault, into which faults are planted."""

from pathlib import Path

from sound.learning import SoundLoss
from sound.metric import SoundMetric
from sound.network import SoundNetwork
from sound.objects import Exact, classic, stitched
from toolkit.api import hookimpl

SEG_API = 2


@hookimpl
def seg_networks():
    return (SoundNetwork,)


@hookimpl
def seg_losses():
    return (SoundLoss,)


@hookimpl
def seg_postprocessors():
    return (Exact, stitched, classic)


@hookimpl
def seg_metrics():
    return (SoundMetric,)


@hookimpl
def seg_recipes():
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
