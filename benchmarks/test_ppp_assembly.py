"""PatchPerPix assembly: the consensus against a compiled loop over pairs, thin-out against an argmax over sets, and the
whole at the five sizes of the paper, in one run.

pytest benchmarks/test_ppp_assembly.py -s
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from toolkit_ppp import assembly, consensus, pane, rank
from toolkit_ppp.bits import unpack
from toolkit_ppp.cover import cover
from toolkit_ppp.layout import triple
from toolkit_ppp.patches import read
from toolkit_ppp.thin import thin
from toolkit_ppp.threads import default_threads, run

from toolkit.gpu.backend import Backend
from toolkit.values.tiles import Box

from .ppp_scenes import Problem, problems

CPU = Backend()
T = TypeVar("T")


@numba.njit
def pairs(
    p: NDArray[np.float32],
    inside: NDArray[np.bool_],
    t: float,
    height: int,
    width: int,
    votes: NDArray[np.float32],
    counts: NDArray[np.uint16],
) -> None:
    """Eqs 3 and 4 as one writes them first: every pair of pixels of every patch, into arrays over the image."""
    rows, columns = inside.shape
    for y in range(rows):
        for x in range(columns):
            if not inside[y, x]:
                continue
            for c in range(height * width):
                y1, x1 = y + c // width - height // 2, x + c % width - width // 2
                if y1 < 0 or y1 >= rows or x1 < 0 or x1 >= columns or not inside[y1, x1]:
                    continue
                a = p[c, y, x]
                for d in range(c + 1, height * width):
                    y2, x2 = y + d // width - height // 2, x + d % width - width // 2
                    if y2 < 0 or y2 >= rows or x2 < 0 or x2 >= columns or not inside[y2, x2]:
                        continue
                    b = p[d, y, x]
                    if a > t or b > t:
                        counts[y1, x1, y2 - y1, x2 - x1 + width - 1] += 1
                        if a > t and b > t:
                            votes[y1, x1, y2 - y1, x2 - x1 + width - 1] += a * b
                        elif a > t and b < 1 - t:
                            votes[y1, x1, y2 - y1, x2 - x1 + width - 1] -= a * (1 - b)
                        elif a < 1 - t and b > t:
                            votes[y1, x1, y2 - y1, x2 - x1 + width - 1] -= (1 - a) * b
    for i in range(votes.size):
        if counts.flat[i] > 0:
            votes.flat[i] /= counts.flat[i]


@numba.njit(nogil=True)
def tiles(start: tuple[int, ...], stop: tuple[int, ...], by: Any, tile: Any) -> int:
    """The consensus alone: every window once. A sum of them, so that none is left out."""
    total = 0
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            for low in range(start[2], stop[2], consensus.TILE):
                if consensus.fill(z, y, low, min(stop[2], low + consensus.TILE), by, tile):
                    total += tile.sums.sum()
    return total


def test_consensus_is_many_times_as_fast_as_a_loop_over_pairs() -> None:
    problem = problems()["dsb 25"]
    how, seen = problem.options, problem.predict(next(problem.cores()))
    inside = problem.layers[0] > 0
    threads = default_threads()

    def ours() -> None:
        patches = read(how.keep(seen, CPU), how, CPU)

        def work(box: Any) -> int:
            loaded = pane.load(patches, box, how)
            return tiles(loaded.start, loaded.stop, loaded.voters, consensus.windows(loaded.voters))

        run(work, pane.split(patches, Box.whole(patches.shape), threads), threads)

    def theirs() -> None:
        size = (*inside.shape, how.patch[0], 2 * how.patch[1] - 1)
        pairs(seen["patches"], inside, how.threshold, *how.patch, np.zeros(size, np.float32), np.zeros(size, np.uint16))

    (mine, naive), _ = _interleaved(ours, theirs)
    print(f"\nconsensus, dsb 25, {threads} threads: {mine:.3f} s, naive {naive:.2f} s, ×{naive / mine:.0f} (must ×12)")
    assert naive / mine >= 12


def sets(covers: list[set[int]], taken: list[int]) -> list[int]:
    """Thin-out as one writes it first: the largest gain of all, again and again."""
    left: set[int] = set().union(*(covers[k] for k in taken))
    kept = []
    while left:
        gains = [len(left & covers[k]) for k in taken]
        kept.append(taken[gains.index(max(gains))])
        left -= covers[kept[-1]]
    return kept


def test_thin_out_is_many_times_as_fast_as_an_argmax_over_sets() -> None:
    problem = problems()["BBBC 25"]
    parts = [_scored(problem, core) for core in problem.cores()]
    patch, shape = triple(problem.options.patch), triple(problem.shape)
    centres, agreement, possible, words = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("centres", "agreement", "pairs", "covers")
    )
    inside = np.zeros(problem.shape, bool)
    for part in parts:
        inside[part.core.slices] = np.unpackbits(part.inside, count=part.core.size).reshape(part.core.shape)
    ranked = rank.order(agreement, possible)
    taken = cover(inside.reshape(shape), centres, words, ranked, patch, (0,))
    steps = np.ravel_multi_index(tuple(np.indices(patch).reshape(3, -1)), (shape[0] + 2 * patch[0], *shape[1:]))
    steps = steps - np.ravel_multi_index(tuple(n // 2 for n in patch), shape)
    members = unpack(words[taken], problem.options.voxels)
    covers = {int(k): set((centres[k] + steps[m]).tolist()) for k, m in zip(taken, members, strict=True)}
    named = [covers.get(k, set()) for k in range(len(centres))]

    (mine, naive), (kept, expected) = _interleaved(
        lambda: thin(inside.reshape(shape), centres, words, taken, patch).tolist(),
        lambda: sets(named, taken.tolist()),
        rounds=1,
    )
    sizes = f"thin, BBBC 25, {len(taken)} → {len(kept)}"
    print(f"\n{sizes}: {1e3 * mine:.1f} ms, sets {naive:.2f} s, ×{naive / mine:.0f} (must ×100)")
    assert kept == expected
    assert naive / mine >= 100


@pytest.mark.parametrize("name", list(problems()))
def test_assembly_at_the_sizes_of_the_paper(name: str) -> None:
    problem = problems()[name]
    how, cores = problem.options, list(problem.cores())
    passes, blocks = how.passes(), [None] * len(cores)
    if len(cores) == 1:
        blocks = [problem.predict(cores[0])]
    runs = []
    for _ in range(4 if len(cores) == 1 else 1):
        state, spent = None, np.zeros(2)
        for step in passes:
            parts = []
            for core, seen in zip(cores, blocks, strict=True):
                seen = seen or problem.predict(core)
                part, seconds = _clocked(step.local, seen, state and state.window(seen.box), CPU)
                spent += seconds
                parts.append(part)
            state, seconds = _clocked(step.reduce, parts, state, CPU)
            spent += seconds
        runs.append(spent)
    wall, busy = np.min(runs, axis=0)
    paper = problem.paper * problem.share
    print(
        f"\n{name:10} {'×'.join(map(str, problem.shape)):>11}: {wall:6.2f} s, {busy:6.2f} s of one core, {len(state)} "
        f"instances; paper's GPU {paper:5.1f} s, ×{paper / wall:.1f} (must ×{problem.must:.0f})"
    )
    assert len(state) > 0


def _clocked(work: Callable[..., T], *given: Any) -> tuple[T, NDArray[np.float64]]:
    """The result, and seconds on the wall and of all cores together."""
    began = np.array([time.perf_counter(), time.process_time()])
    result = work(*given)
    return result, np.array([time.perf_counter(), time.process_time()]) - began


def _scored(problem: Problem, core: Any) -> assembly.Scored:
    piece = problem.options.keep(problem.predict(core), CPU)
    return assembly.scored(piece, read(piece, problem.options, CPU), problem.options, CPU)


def _interleaved(*works: Callable[[], Any], rounds: int = 3) -> tuple[list[float], list[Any]]:
    """Least seconds of each, and its result; they take turns, so that other work on the machine hits all of them."""
    for work in works:
        work()
    times = [[_timed(work) for work in works] for _ in range(rounds)]
    return [min(t[k][0] for t in times) for k in range(len(works))], [t[1] for t in times[-1]]


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
