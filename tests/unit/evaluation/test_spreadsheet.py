from __future__ import annotations

from pathlib import Path

from tests.unit.scenes import scene
from toolkit.builtin.metrics.matched import S
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
