"""What is known of the full data sets and must come out again; part of `make reproduce`.

    pytest benchmarks/known.py

The sets lie in ../shared/data (docs/data.md).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit import io
from toolkit.builtin.metrics.matched import F1, S
from toolkit.check import Diagnosis, check
from toolkit.evaluation.evaluate import evaluate
from toolkit.evaluation.pairing import pairs

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = sorted(p.parent.name for p in DATA.glob("*/splits.json"))


def found(diagnosis: Diagnosis, code: str) -> list[tuple[str, tuple[int, ...]]]:
    """Images and object ids of one kind of finding."""
    return [(place.image, place.ids) for f in diagnosis.findings if f.code == code for place in f.where]


def test_the_data_are_there() -> None:
    assert SETS, f"no data set in {DATA}"


@pytest.mark.parametrize("name", SETS)
def test_every_data_set_can_be_read_and_holds_as_many_objects_as_its_index_says(name: str) -> None:
    counted = {}
    if (DATA / name / "index.csv").is_file():
        header, *lines = (DATA / name / "index.csv").read_text().split()
        columns = header.split(",")
        counted = {v[columns.index("id")]: int(v[columns.index("n")]) for v in (line.split(",") for line in lines)}
    for split in io.open_dataset(DATA / name).splits:
        dataset = io.open_dataset(f"{DATA / name}:{split}")
        for item in dataset.items[:2]:
            image, truth = dataset.image(item), dataset.truth(item)
            assert image.notes == ()
            assert image.shape == truth.shape
            assert image.voxel_size == truth.voxel_size
            assert len(truth.instances) == counted.get(item.name, len(truth.instances))


def test_the_offset_of_the_test_embryos_is_found() -> None:
    diagnosis = check(DATA / "bbbc050")
    offset = [f.what for f in diagnosis.findings if f.code == "intensity-offset"]
    assert len(offset) == 1
    assert offset[0].startswith("test differs from train")
    assert not diagnosis.errors


def test_pieces_and_twins_of_the_nuclei_are_found() -> None:
    nuclei = check(DATA / "dsb2018")
    assert sum(len(ids) for _, ids in found(nuclei, "pieces")) == 83
    assert [name[:8] for name, _ in found(nuclei, "same-image")] == ["cb4df20a"]
    colour = check(DATA / "dsb2018_color")
    assert len(found(colour, "grey-among-colour")) == 5
    assert not colour.errors


def test_worms_overlap_and_lead_to_the_method_that_knows_it() -> None:
    worms = check(DATA / "bbbc010")
    assert len(found(worms, "overlap")) == 61
    assert worms.advice is not None
    assert worms.advice.plugin == "ppp"


def test_published_worm_masks_score_as_published() -> None:
    data = DATA / "bbbc010"
    result = evaluate(pairs(data / "reference_ppp_setup08", f"{data}:test", "QYX"), [S()], samples=0)
    assert len(result.images) == 17
    means = [round(result.summary[f"S@{t:.2f}"]["mean"], 3) for t in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert means == [0.957, 0.944, 0.920, 0.799, 0.367]


def test_the_truth_of_worms_against_itself_is_perfect() -> None:
    data = DATA / "bbbc010"
    result = evaluate(pairs(data / "masks", f"{data}:all", "QYX")[:4], [S(), F1()], samples=0)
    assert {entry["mean"] for entry in result.summary.values()} == {1.0}
