"""What several batteries begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.battery.forkserver import ForkServer
from tests.battery.writing import begun, stocked


@pytest.fixture(scope="session")
def stock(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever the commands that write need."""
    folder = tmp_path_factory.mktemp("stock") / "whole"
    folder.mkdir()
    stocked(folder, folder)
    begun(server, folder, ".", "home")
    return folder
