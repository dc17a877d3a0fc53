"""PatchPerPix (Mais, Hirsch and Kainmueller, 2020): instances, overlapping ones too, assembled from patches."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.plugins import hookimpl
from toolkit.specs import PostProcessor
from toolkit_ppp.patchperpix import PatchPerPix

SEG_API = 1


@hookimpl
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    return (PatchPerPix,)
