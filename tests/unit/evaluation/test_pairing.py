from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.builtin.metrics.matched import F1, S
from toolkit.errors import InputError
from toolkit.evaluation.evaluate import evaluate
from toolkit.evaluation.pairing import pairs

from tests.beside import beside  # noqa: TID252
from tests.unit.scenes import labels


def _folders(root: Path, predicted: list[str], true: list[str]) -> tuple[Path, Path]:
    for folder, names in (("pred", predicted), ("true", true)):
        for name in names:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, labels(1).astype(np.uint16))
    return root / "pred", root / "true"


def test_files_are_paired_by_stem(tmp_path: Path) -> None:
    names = ["a.labels.tif", "deep/b.labels.tif"]
    predicted, true = _folders(tmp_path, [*names, "overlay.tif"], ["a.tif", "deep/b.tif"])
    found_pairs = pairs(predicted, true)
    assert [p.name for p in found_pairs] == ["a", "deep/b"]
    assert evaluate(found_pairs, [S()]).summary["S@0.95"]["mean"] == 1
    assert [p.name for p in pairs(predicted / names[0], true)] == ["a"]
    assert [p.name for p in pairs(predicted / names[0], true / "deep" / "b.tif")] == ["a"]


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    predicted, true = _folders(tmp_path, ["a.labels.tif", "b.labels.tif"], ["a.tif", "c.tif"])
    with pytest.raises(InputError, match="a prediction has no truth: b"):
        pairs(predicted, true)
    (predicted / "b.labels.tif").unlink()
    with pytest.raises(InputError, match="an image has no prediction: c"):
        pairs(predicted, true)
    with pytest.raises(InputError, match="no such file or folder"):
        pairs(tmp_path / "nowhere", true)


def test_published_worm_masks_score_as_published() -> None:
    data = beside("data/bbbc010")
    result = evaluate(pairs(data / "reference_ppp_setup08", f"{data}:test", "QYX"), [S()], samples=0)
    assert len(result.images) == 17
    means = [round(result.summary[f"S@{t:.2f}"]["mean"], 3) for t in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert means == [0.957, 0.944, 0.920, 0.799, 0.367]


def test_the_truth_against_itself_is_perfect_with_overlap() -> None:
    data = beside("data/bbbc010")
    result = evaluate(pairs(data / "masks", f"{data}:all", "QYX")[:4], [S(), F1()], samples=0)
    assert {entry["mean"] for entry in result.summary.values()} == {1.0}
