from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.demo.pictures import _filaments
from toolkit.errors import UsageError


@pytest.mark.slow
def test_the_image_of_the_demo_is_drawn_again_and_no_other_image_is_written_over(tmp_path: Path) -> None:
    first = _filaments(tmp_path / "demo.tif").read_bytes()
    assert _filaments(tmp_path / "demo.tif").read_bytes() == first
    (tmp_path / "demo.tif").write_bytes(b"mine")
    with pytest.raises(UsageError, match="another image has the name"):
        _filaments(tmp_path / "demo.tif")
    assert (tmp_path / "demo.tif").read_bytes() == b"mine"
