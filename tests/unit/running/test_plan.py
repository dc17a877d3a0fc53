"""What is said before a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.cli.agreed import within
from toolkit.cli.wish import Wish
from toolkit.errors import OutOfMemory, StorageError
from toolkit.gpu.memory import amount
from toolkit.pipeline.remarks import CUBES
from toolkit.running.afford import affordable, fewer
from toolkit.running.options import Options
from toolkit.running.plan import Plan, _notes
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling


def test_a_volume_of_unknown_voxel_size_is_said_to_be_of_cubes() -> None:
    volume, picture = np.zeros((3, 4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    assert _notes(Image.from_array(volume, calibrated=False)) == (CUBES,)
    assert _notes(Image.from_array(picture, calibrated=False)) == ()
    known = Image.from_array(volume, "ZYX", voxel_size=(2.0, 1.0, 1.0), calibrated=True)
    assert _notes(known) == ()


def ahead(**change: Any) -> Plan:
    fields = {"images": 1, "blocks": 1, "windows": 9, "seconds": 8.0, "alone": 32.0, "gigabytes": 8.0,
              "first": "a", "image": "a", "notes": (), "path": Path("a.tif"), "sized": Rescaling(),
              "processes": 4, "each": 2.0, "disk": 0.0, "block": 4096, "ndim": 2}  # fmt: skip
    return Plan(**{**fields, **change})


def test_as_many_processes_run_as_memory_has_room_for_and_at_least_one() -> None:
    assert fewer(ahead(), 8.0) == ahead()
    assert fewer(ahead(), 5.0) == ahead(processes=2, seconds=16.0, gigabytes=4.0)
    assert fewer(ahead(), 0.5) == ahead(processes=1, seconds=32.0, gigabytes=2.0)


def test_a_plan_beyond_memory_or_disk_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    affordable(ahead(), 8.0, tmp_path / "a" / "b")
    with pytest.raises(OutOfMemory, match=r"about 8.0 GB, and 7.9 GB are free; choose fewer --workers"):
        affordable(ahead(), 7.9, tmp_path)
    with pytest.raises(OutOfMemory, match=r"choose --block 1024 or smaller"):
        affordable(ahead(processes=1, each=35.0, gigabytes=35.0), 8.0, tmp_path)
    with pytest.raises(StorageError, match="more than the disk has"):
        affordable(ahead(disk=1e9), 8.0, tmp_path)


def test_what_is_kept_meanwhile_is_asked_of_the_disk_where_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    free = {scratch: 5 * 2**30, tmp_path: 2 * 2**30}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free[path]))
    affordable(ahead(disk=6.0, kept=4.0), 8.0, tmp_path, scratch)
    with pytest.raises(StorageError, match=r"about 6.0 GB, and 2.0 GB are free at .*; free space or choose another -o"):
        affordable(ahead(disk=6.0, kept=4.0), 8.0, tmp_path)
    with pytest.raises(StorageError, match=r"kept of an image .*: about 6.0 GB, and 5.0 GB .* another --work"):
        affordable(ahead(disk=8.0, kept=6.0), 8.0, tmp_path, scratch)


def test_what_is_small_is_said_in_the_unit_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(StorageError, match=r"about 8 MB, and 3 MB are free at"):
        affordable(ahead(disk=8 / 1024), 8.0, tmp_path)
    assert [amount(g) for g in (12.34, 0.0999, 1e-6)] == ["12.3 GB", "102 MB", "less than 1 MB"]


def test_others_work_only_where_they_begin_before_all_is_done(tmp_path: Path) -> None:
    wish, options = Wish(inputs=("a.tif",)), Options(tmp_path, workers=4)
    short = ahead(alone=8.0)
    alone = ahead(alone=8.0, processes=1, gigabytes=2.0)
    assert within(short, options, wish, 99.0) == (alone, replace(options, workers=1))
    assert within(ahead(), options, wish, 99.0) == (ahead(), options)
    assert within(short, options, replace(wish, workers=4), 99.0) == (short, options)
    assert within(short, replace(options, scheduler="tcp://a:1"), wish, 99.0)[0] == short
