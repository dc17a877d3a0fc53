"""The one loop: windows → pieces, each window once; then the passes of a method over blocks of pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import PluginError
from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.workers import Map, serial
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Block
from toolkit.values.voxels import Voxels

Work = tuple[int, Any, Block]
"""Number of a pass, the part of the state that a block needs, the block."""


def keep(
    postprocess: PostProcessor, predictions: Iterable[Prediction], backend: Backend, loose: bool = False
) -> Iterator[Piece]:
    """The stage `pieces`: of each window what the method needs. Raises `PluginError` for a piece that is none."""
    for seen in predictions:
        piece: Any = postprocess.keep(seen, backend, loose)
        _check(piece, seen, postprocess)
        yield piece


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
        state = step.reduce(fragments, state, pieces.backend)
    if not isinstance(state, Instances) or state.shape != pieces.shape:
        what = f"of shape {state.shape}" if isinstance(state, Instances) else f"but {type(state).__name__}"
        raise PluginError(
            f"the last reduce of post-processor {postprocess.kind} gives no Instances of shape {pieces.shape}, {what}",
            f"{type(postprocess).__module__}.{type(postprocess).__name__}.passes",
            "did you mean Instances.from_labels(…)?",
        )
    return state


def local(postprocess: PostProcessor, pieces: Pieces, loose: bool, work: Work) -> Any:
    """Fragment of one block in one pass."""
    number, part, block = work
    piece = pieces.read(block.core.grow(postprocess.halo(len(pieces.shape)), within=pieces.shape), block.core)
    return postprocess.passes()[number].local(postprocess.cut(piece) if loose else piece, part, pieces.backend)


def _window(state: Any, postprocess: PostProcessor, pieces: Pieces, block: Block) -> Any:
    if state is None:
        return None
    return state.window(block.core.grow(postprocess.halo(len(pieces.shape)), within=pieces.shape))


def _check(piece: Any, seen: Prediction, postprocess: PostProcessor) -> None:
    """Raise `PluginError` unless `keep` kept something of the core of its window."""
    wrong = ""
    if not isinstance(piece, Prediction | Voxels):
        wrong = f"it is a {type(piece).__name__}, not a Prediction or Voxels"
    elif piece.box != seen.core or piece.shape != seen.shape:
        wrong = f"it is of box {piece.box} in an image of {piece.shape}, the core of the window is {seen.core}"
    elif isinstance(piece, Prediction):
        bad = {n: tuple(h.shape) for n, h in piece.heads.items() if tuple(h.shape[1:]) != seen.core.shape}
        wrong = f"its heads have the shapes {bad}, the core of the window has {seen.core.shape}" if bad else ""
        wrong = wrong or ("" if piece.heads else "it has no heads")
    else:
        odd = {n: len(v) for n, v in piece.values.items() if len(v) != len(piece)}
        wrong = f"it has {len(piece)} voxels, and values of {odd}" if odd else ""
    if wrong:
        raise PluginError(
            f"post-processor {postprocess.kind} keeps no piece of its window: {wrong}",
            f"{type(postprocess).__module__}.{type(postprocess).__name__}.keep",
            "keep prediction.crop(prediction.core), or Voxels.of(…) there",
        )
