"""What the phases minimise: made here without torch, which only who trains imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit_cac.options import Options
from toolkit_cac.selection import Selection

if TYPE_CHECKING:
    import torch


def alone(loss: Options) -> torch.nn.Module:
    """The branches by what is annotated."""
    from toolkit_cac.branches import Branches

    return Branches(loss, together=False)


def judging(loss: Options) -> torch.nn.Module:
    """The judge by what the branches said when they knew less."""
    from toolkit_cac.judge import Judging

    return Judging(loss)


def together(loss: Options) -> torch.nn.Module:
    """The branches by what is annotated and by each other."""
    from toolkit_cac.branches import Branches

    return Branches(loss, together=True)


def selecting(loss: Selection) -> torch.nn.Module:
    """Vectors by the objects that they select."""
    from toolkit_cac.selecting import Selecting

    return Selecting(loss)
