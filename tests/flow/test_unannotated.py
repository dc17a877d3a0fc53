"""What is not annotated teaches nothing and is judged nowhere: every loss and every metric of every plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from toolkit.builtin.metrics import METRICS
from toolkit.cli import main
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss
from toolkit.testing.descent import start, tensors
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

SHAPE = (64, 200)
FAR = 100
"""Columns from here on are farther from every annotated object than any loss looks."""
PAIRED = {"embedseg": ("offsets", "sigma")}
"""Heads by which a loss compares every voxel of a crop with each annotated object: that a voxel is in none of them is
known wherever it lies."""


def losses() -> Iterator[Any]:
    for name in sorted(Catalogue().collect("losses")):
        loss = Catalogue().find("losses", name)
        if not any(field.is_required() for field in loss.model_fields.values()):
            made = loss()
            if made.heads(2):
                yield pytest.param(made, id=name)


def discs(*places: tuple[int, int], radius: int = 7) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, np.int32)
    for number, (cy, cx) in enumerate(places, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number
    return labels


ANNOTATED = discs((20, 20), (44, 30))
HIDDEN = discs((20, 130), (40, 150), (20, 170))
SPARSE = np.where(ANNOTATED > 0, ANNOTATED, UNANNOTATED).astype(np.int32)


def pulled(loss: Loss, truth: Truth) -> dict[str, np.ndarray]:
    """The gradient of the loss at each voxel of each head."""
    import torch

    noise = torch.Generator().manual_seed(0)
    raw = {
        name: (head.detach() + 0.3 * torch.randn(head.shape, generator=noise)).requires_grad_()
        for name, head in start([loss], truth).items()
    }
    sum(loss.build()(raw, tensors(loss.targets(truth))).values()).backward()
    return {name: (np.zeros(head.shape) if head.grad is None else head.grad.numpy())[0] for name, head in raw.items()}


@pytest.mark.parametrize("loss", list(losses()))
def test_a_loss_pulls_no_head_where_nothing_near_is_annotated(loss: Loss) -> None:
    found = pulled(loss, Truth.from_layers(SPARSE[None]))
    free = PAIRED.get(loss.kind, ())
    idle = [name for name, gradient in found.items() if name not in free and gradient[..., FAR:].any()]
    if loss.kind in ("cac", "spoco"):  # all that is unannotated is first taken for background: nothing else is known
        assert idle == ["foreground"]
    else:
        assert idle == []
    assert any(gradient[..., :FAR].any() for gradient in found.values()), "what is annotated teaches"


@pytest.mark.parametrize("loss", list(losses()))
def test_known_background_teaches_what_unannotated_voxels_do_not(loss: Loss) -> None:
    dense, sparse = (pulled(loss, Truth.from_layers(x[None])) for x in (ANNOTATED, SPARSE))
    differs = any(not np.array_equal(dense[name], sparse[name]) for name in dense)
    assert differs == (loss.kind != "cpv"), "the vectors of background are never taught"


def perfect(*more: np.ndarray) -> Instances:
    labels = ANNOTATED.copy()
    for extra in more:
        labels[extra > 0] = extra[extra > 0] + labels.max()
    return Instances.from_labels(labels, {k: 0.4 + k / 10 for k in range(1, int(labels.max()) + 1)})


def values(metric: Metric, truth: np.ndarray, found: Instances) -> dict[str, float]:
    return metric.summarise([metric.count(Truth.from_layers(truth[None]), found)])


@pytest.mark.parametrize("metric", [cls() for cls in METRICS], ids=lambda m: m.kind)
def test_what_a_metric_finds_in_unannotated_voxels_changes_nothing(metric: Metric) -> None:
    alone, more = (values(metric, SPARSE, found) for found in (perfect(), perfect(HIDDEN)))
    assert alone.keys() == more.keys()
    assert list(alone.values()) == pytest.approx(list(more.values()), nan_ok=True)


@pytest.mark.parametrize("metric", [cls() for cls in METRICS], ids=lambda m: m.kind)
def test_what_a_metric_finds_in_known_background_is_an_error(metric: Metric) -> None:
    if metric.kind in ("SEG", "VOI", "ARAND", "ISBI"):
        pytest.fail("these judge true objects alone") if values(metric, ANNOTATED, perfect(HIDDEN)) != pytest.approx(
            values(metric, ANNOTATED, perfect()), nan_ok=True
        ) else None
        return
    alone, more = (values(metric, ANNOTATED, found) for found in (perfect(), perfect(HIDDEN)))
    assert list(alone.values()) != pytest.approx(list(more.values()), nan_ok=True)


@pytest.mark.parametrize("metric", [cls() for cls in METRICS], ids=lambda m: m.kind)
def test_an_image_of_which_nothing_is_annotated_is_judged_like_one_without_objects(metric: Metric) -> None:
    bare = np.full(SHAPE, UNANNOTATED, np.int32)
    found = values(metric, bare, perfect(HIDDEN))
    nothing = values(metric, np.zeros(SHAPE, np.int32), Instances.empty(SHAPE))
    assert list(found.values()) == pytest.approx(list(nothing.values()), nan_ok=True)


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", *arguments, "--metric", "S", "--metric", "VOI", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out)["summary"])


def test_partly_annotated_truth_judges_its_objects_and_what_is_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"found": perfect(HIDDEN).to_labels(), "few": ANNOTATED, "marked": SPARSE}
    paths = {name: str(tmp_path / f"{name}.tif") for name in files}
    for name, labels in files.items():
        tifffile.imwrite(paths[name], labels.astype(np.int32))
    whole = evaluated(capsys, paths["found"], paths["few"])
    partly = evaluated(capsys, paths["found"], paths["few"], "--partly")
    assert whole["S@0.50"]["mean"] == pytest.approx(2 / 5)
    assert partly["S@0.50"]["mean"] == 1
    assert partly == evaluated(capsys, paths["found"], paths["marked"])


def test_what_spills_from_an_annotated_object_counts_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swollen = discs((20, 20), (44, 30), radius=11)
    for name, labels in (("found", swollen), ("few", ANNOTATED)):
        tifffile.imwrite(tmp_path / f"{name}.tif", labels)
    found = evaluated(capsys, str(tmp_path / "found.tif"), str(tmp_path / "few.tif"), "--partly")
    assert found["S@0.50"]["mean"] == 0, "7² is less than half of 11²"
