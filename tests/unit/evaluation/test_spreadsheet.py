from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.scenes import scene
from toolkit.builtin.metrics.matched import S
from toolkit.errors import UsageError
from toolkit.evaluation.evaluate import evaluate
from toolkit.evaluation.spreadsheet import write_tables


def test_tables_have_a_row_for_each_image_and_object(tmp_path: Path) -> None:
    result = evaluate(scene(3), [S()])
    images, objects = write_tables(result, tmp_path / "out")
    rows = images.read_text().splitlines()
    assert len(rows) == 4
    assert "S@0.50" in rows[0]
    total = sum(len(side.ids) for image in result.images for side in (image.true, image.predicted))
    rows = objects.read_text().splitlines()
    assert rows[0] == "image,side,id,fate,matched id,iou,voxels,y_from,x_from,y_to,x_to"
    assert len(rows) == total + 1


@pytest.mark.parametrize("name", ["images.csv", "objects.csv"])
def test_tables_replace_tables_and_no_other_file_of_that_name(tmp_path: Path, name: str) -> None:
    result = evaluate(scene(3), [S()])
    assert write_tables(result, tmp_path) == write_tables(result, tmp_path)
    (tmp_path / name).write_text("image,age of the mouse\n1,2\n")
    with pytest.raises(UsageError, match="no evaluation wrote this"):
        write_tables(result, tmp_path)
    assert (tmp_path / name).read_text() == "image,age of the mouse\n1,2\n"
