"""What a run may cost here: it is not begun where the memory or the disk cannot hold it."""

from __future__ import annotations

import os
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


def lone(ahead: Plan) -> Plan:
    """The plan with one process."""
    shared = ahead.gigabytes - ahead.processes * ahead.each
    return replace(ahead, processes=1, seconds=ahead.alone, gigabytes=max(shared, ahead.each + ahead.reduced))


def affordable(ahead: Plan, room: float, out: Path, scratch: Path | None = None) -> None:
    """Raise `OutOfMemory` if the plan takes more memory than there is `room` for, in GiB, and `StorageError` if the
    disk of `out` has not what its results take, or that of `scratch` (default: the same) what is kept until then."""
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
    _stored(ahead.disk - (ahead.kept if scratch else 0), out, "the results take more than the disk has", "-o")
    if scratch:
        _stored(ahead.kept, scratch, "what is kept of an image until it is done takes more than the disk has", "--work")


def _stored(wanted: float, where: Path, what: str, option: str) -> None:
    there = next(p for p in (where.absolute(), *where.absolute().parents) if p.exists())
    if not os.access(there, os.W_OK):
        shut = os.statvfs(there).f_flag & os.ST_RDONLY
        reason = "Read-only file system" if shut else "Permission denied"
        raise StorageError(reason, there, f"choose another {option}")
    free = shutil.disk_usage(there).free / 2**30
    if wanted > free:
        raise StorageError(
            what, f"about {amount(wanted)}, and {amount(free)} are free at {there}",
            f"free space or choose another {option}",
        )  # fmt: skip
