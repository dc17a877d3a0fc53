"""A planted fault: one wrong thing in one file, and the tests that are there to notice it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("faults")


@dataclass(frozen=True)
class Fault:
    """`old`, which occurs once in `file`, is replaced by `new`; some of `tests` (pytest's node ids) should fail.

    `name` says what is wrong then. `battery`: one of the twelve that are always planted. `survives`: why no test can
    notice it, where none does.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    battery: bool = False
    survives: str = ""


def table(folder: Path = TABLE) -> list[Fault]:
    """All faults, by file of the table and then as they stand in it."""
    rows = [row for path in sorted(folder.glob("*.toml")) for row in tomllib.loads(path.read_text("utf8"))["fault"]]
    return [Fault(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def part(faults: list[Fault], which: str) -> list[Fault]:
    """Part `K/N` of the faults, the same whenever it is asked for, and the battery."""
    number, of = map(int, which.split("/"))
    return [fault for at, fault in enumerate(faults) if at % of == number - 1 or fault.battery]
