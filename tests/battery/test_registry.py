"""Battery D: many writers, kills and twins. What was acknowledged is there and whole, and nobody was locked out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(task: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.battery.writers", task, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def test_four_writers_lose_nothing_and_none_is_locked_out(tmp_path: Path) -> None:
    found = run("crowd", tmp_path)
    assert found == {"killed": None, "acknowledged": 800, "lost": [], "failed": [], "half": []}


def test_eighty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    found = run("kills", tmp_path)
    assert found["killed"] == 80
    assert found["acknowledged"] > 20
    assert (found["lost"], found["failed"], found["half"]) == ([], [], [])


def test_two_installations_of_one_model_are_one_object_and_two_successes(tmp_path: Path) -> None:
    assert run("twins", tmp_path) == {"good": 20}
