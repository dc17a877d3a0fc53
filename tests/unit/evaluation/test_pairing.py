from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.unit.scenes import labels, planes
from toolkit.builtin.metrics.matched import F1, S
from toolkit.errors import InputError
from toolkit.evaluation.evaluate import evaluate
from toolkit.evaluation.pairing import pairs
from toolkit.values.instances import Instances


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


def test_the_truth_against_itself_is_perfect_with_overlap(tmp_path: Path) -> None:
    stacks = {name: planes(seed, (60, 70), 6).astype(np.uint8) for seed, name in enumerate("ab")}
    assert all(Instances.from_planes(stack).overlapping_pairs()[0].size for stack in stacks.values())
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, stack in stacks.items():
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", stack.max(0))
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", stack, photometric="minisblack")
    (tmp_path / "meta.json").write_text('{"axes": "YX", "masks": "QYX"}')
    result = evaluate(pairs(tmp_path / "masks", f"{tmp_path}:all", "QYX"), [S(), F1()], samples=0)
    assert len(result.images) == 2
    assert {entry["mean"] for entry in result.summary.values()} == {1.0}
