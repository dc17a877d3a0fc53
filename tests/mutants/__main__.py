"""`python -m tests.mutants`: which of the planted faults do the tests notice?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.fault import Fault, part, table
from tests.mutants.plant import CAUGHT, ERROR, SURVIVED, Bed, Outcome, copied

LEAST = 0.95
"""Share of the faults that the tests must notice."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 if the battery and enough of the others are caught, and all that survive have a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--part", metavar="K/N", help="a fixed part of the faults, and the battery")
    parser.add_argument("--only", metavar="TEXT", help="faults whose name or file holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there")
    parser.add_argument("--trusting", action="store_true", help="the tests are known to pass without a fault")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many faults at once")
    parser.add_argument("--list", action="store_true", help="name the faults and plant none")
    said = parser.parse_args(arguments)
    faults = table()
    if said.part:
        faults = part(faults, said.part)
    if said.only:
        faults = [fault for fault in faults if said.only in f"{fault.file} {fault.name}"]
    if said.list:
        print("\n".join(f"{fault.file}: {fault.name}" for fault in faults))
        return 0
    with ExitStack() as stack:
        beds = [stack.enter_context(Bed(stack.enter_context(copied()))) for _ in range(said.jobs)]
        if not said.trusting and (why := beds[0].sound(faults)):
            print(why, "the tests fail without a fault", sep="\n", file=sys.stderr)
            return 1
        outcomes = planted(faults, beds)
    if said.json:
        said.json.parent.mkdir(parents=True, exist_ok=True)
        said.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return judged(outcomes)


def planted(faults: Sequence[Fault], beds: Sequence[Bed]) -> list[Outcome]:
    """What became of each fault; a bed has one at a time."""
    free: SimpleQueue[Bed] = SimpleQueue()
    for bed in beds:
        free.put(bed)

    def one(fault: Fault) -> Outcome:
        bed = free.get()
        try:
            return told(bed.plant(fault))
        finally:
            free.put(bed)

    with ThreadPoolExecutor(len(beds)) as pool:
        return list(pool.map(one, faults))


def told(outcome: Outcome) -> Outcome:
    """Say at once what became of a fault."""
    mark = "J" if outcome.fault.battery else " "
    print(f"{outcome.result:8} {mark} {outcome.seconds:6.1f} s  {outcome.fault.file}: {outcome.fault.name}", flush=True)
    if outcome.result != CAUGHT:
        print(f"         {outcome.said}", flush=True)
    return outcome


def judged(outcomes: Sequence[Outcome]) -> int:
    """Say how many were caught, and whether that is enough."""

    def of(result: str) -> list[Fault]:
        return [outcome.fault for outcome in outcomes if outcome.result == result]

    caught, survived, errors = map(of, (CAUGHT, SURVIVED, ERROR))
    share = len(caught) / max(1, len(outcomes))
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(f"{len(caught)} of {len(outcomes)} caught ({100 * share:.1f} %) in {seconds:.0f} s")
    for fault in survived:
        print(f"survives: {fault.file}: {fault.name}: {fault.survives or 'no reason is known'}")
    missed = [fault for fault in survived if fault.battery or not fault.survives]
    return int(bool(errors or missed) or share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
