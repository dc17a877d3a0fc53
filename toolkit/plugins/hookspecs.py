"""The five hooks. Each is called once for each plugin and only returns classes or paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.plugins import hookspec
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss, Network, PostProcessor


@hookspec
def seg_networks() -> Sequence[type[Network]]:
    """Networks that recipes may name under `network.kind`."""
    return ()


@hookspec
def seg_losses() -> Sequence[type[Loss]]:
    """Losses that recipes may name under `loss.kind` and `auxiliary.kind`."""
    return ()


@hookspec
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    """Post-processors that recipes may name under `postprocess.kind`."""
    return ()


@hookspec
def seg_metrics() -> Sequence[type[Metric]]:
    """Metrics that `seg evaluate --metric` may name."""
    return ()


@hookspec
def seg_recipes() -> Sequence[Path]:
    """YAML files; the stem is the recipe's name. `NAME.safetensors` beside `NAME.yaml` makes it a shipped model."""
    return ()
