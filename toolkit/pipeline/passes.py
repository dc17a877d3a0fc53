"""The one loop: windows → pieces, each window once; then the passes of a method over blocks of pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline.heard import each
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins import seams
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Block

Work = tuple[int, Any, Block]
"""Number of a pass, the part of the state that a block needs, the block."""


def keep(
    postprocess: PostProcessor, predictions: Iterable[Prediction], backend: Backend, loose: bool = False
) -> Iterator[Piece]:
    """The stage `pieces`: of each window what the method needs. Raises `PluginError` for a piece that is none."""
    for seen in predictions:
        with seams.calling(postprocess, "keep"):
            kept: Any = postprocess.keep(seen, backend, loose)
        yield seams.piece(kept, seen, postprocess)


def sweep(
    postprocess: PostProcessor,
    pieces: Pieces,
    blocks: Sequence[Block],
    *,
    loose: bool = False,
    run: Map = serial,
    remote: Callable[[Work], Path] | None = None,
) -> Instances:
    """All passes over all blocks of an image. `loose`: the pieces are, and are cut as they are read.

    `remote(work)` does the work of a block elsewhere and gives the file of its fragment; the default is `local` in this
    process. Raises `PluginError` if
    what comes out at the end are no instances of the image.
    """
    here = partial(local, postprocess, pieces, loose)
    state: Any = None
    for number, step in enumerate(postprocess.passes()):
        work = ((number, _window(state, postprocess, pieces, block), block) for block in blocks)
        if step.gathers or remote is None:
            fragments = serial(here, work)
        else:
            fragments = (arrays.read(path, step.fragment) for path in run(remote, work))
        with seams.calling(postprocess, f"passes, reduce {number + 1}"):
            fragments = each(f"pass {number + 1} of {len(postprocess.passes())}", fragments, len(blocks))
            state = step.reduce(fragments, state, pieces.backend)
    last = f"passes, reduce {len(postprocess.passes())}"
    return seams.instances(state, pieces.shape, postprocess, last)


def local(postprocess: PostProcessor, pieces: Pieces, loose: bool, work: Work) -> Any:
    """Fragment of one block in one pass."""
    number, part, block = work
    piece = pieces.read(block.core.grow(postprocess.halo(len(pieces.shape)), within=pieces.shape), block.core)
    with seams.calling(postprocess, f"passes, local {number + 1}"):
        return postprocess.passes()[number].local(postprocess.cut(piece) if loose else piece, part, pieces.backend)


def _window(state: Any, postprocess: PostProcessor, pieces: Pieces, block: Block) -> Any:
    if state is None:
        return None
    return state.window(block.core.grow(postprocess.halo(len(pieces.shape)), within=pieces.shape))
