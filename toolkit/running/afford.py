"""What a run may cost here: it is not begun where the memory or the disk cannot hold it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from toolkit.errors import OutOfMemory, StorageError
from toolkit.gpu.memory import amount
from toolkit.running.plan import Plan

LONG = 3600.0
"""Seconds after which a run is no small matter."""
SMALLEST = 256
"""Voxels per axis of the smallest block that is proposed."""


def fewer(ahead: Plan, room: float) -> Plan:
    """The plan with as many processes as the memory has `room` for, in GiB; one at least."""
    shared = ahead.gigabytes - ahead.processes * ahead.each
    each = ahead.each + (shared / ahead.processes if ahead.images > 1 else 0)
    once = 0 if ahead.images > 1 else shared
    processes = max(1, min(ahead.processes, int((room - once) / each)))
    return replace(ahead, processes=processes, seconds=ahead.seconds * ahead.processes / processes,
                   gigabytes=once + processes * each)  # fmt: skip


def affordable(ahead: Plan, room: float, out: Path) -> None:
    """Raise `OutOfMemory` if the plan takes more memory than there is `room` for, in GiB, and `StorageError` if the
    disk of `out` has not what its results take."""
    if ahead.gigabytes > room:
        if ahead.processes == 1 and ahead.reduced > room / 2:
            raise OutOfMemory(
                "the method holds more of the image at once than there is memory",
                f"about {amount(ahead.gigabytes)}, and {amount(room)} are free",
                "choose postprocess.kind=threshold, which does not, or a smaller image",
            )
        block = SMALLEST
        while ahead.each * (2 * block / ahead.block) ** ahead.ndim * ahead.processes < room:
            block *= 2
        raise OutOfMemory(
            "the run takes more memory than there is",
            f"about {amount(ahead.gigabytes)}, and {amount(room)} are free",
            f"choose --block {block} or smaller" if ahead.processes == 1 else "choose fewer --workers",
        )
    there = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free / 2**30
    if ahead.disk > free:
        raise StorageError(
            "the results take more than the disk has",
            f"about {amount(ahead.disk)}, and {amount(free)} are free at {there}",
            "free space or choose another -o",
        )
