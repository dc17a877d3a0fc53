"""The widgets in a viewer that is not shown; run by `make napari`, where napari and a Qt are installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.unit.correct.results import found, result
from toolkit.correct.history import History
from toolkit.correct.result import opened

pytestmark = [pytest.mark.napari, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("made"))


@pytest.fixture
def viewer() -> Any:
    """All of a viewer but its window, which would need a graphics driver."""
    from napari.components import ViewerModel
    from napari.qt import get_qapp

    get_qapp()
    return ViewerModel()


def until(said: Callable[[], bool], seconds: float = 60.0) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end, "it never came to that"
        QApplication.processEvents()
        time.sleep(0.01)


def test_the_manifest_is_valid() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(Path(__file__).parents[3] / "toolkit" / "napari" / "napari.yaml")
    manifest.validate_imports()


def test_a_result_that_is_dropped_is_visible_at_once(out: Path, viewer: Any) -> None:
    from npe2 import PluginManager, PluginManifest

    manifest = PluginManifest.from_file(Path(__file__).parents[3] / "toolkit" / "napari" / "napari.yaml")
    manager = PluginManager.instance()
    if manifest.name not in manager:
        manager.register(manifest)
    image, labels = viewer.open(str(out / "b.zarr"), plugin="seg-toolkit")
    assert image.visible
    assert labels.visible
    assert np.array_equal(labels.data, found(out, "b"))
    assert labels.features["index"].tolist() == list(range(1, labels.data.max() + 1))
    assert "score" in labels.features


def test_sliders_make_objects_anew_without_another_prediction(out: Path, viewer: Any) -> None:
    from toolkit.napari.widget import Segment

    widget = Segment(viewer)
    widget.segment()
    assert widget.said.value == "open an image first"
    viewer.add_image(tifffile.imread(out.parent / "images" / "a.tif"), name="a")
    widget.image.value = viewer.layers[0]
    widget.model.choices = [str(out.parent / "model")]
    heard, hear = [], widget._hear
    widget._hear = lambda *said: (heard.append(said), hear(*said))
    widget.segment()
    until(lambda: len(viewer.layers) == 2 and not widget._busy)
    done = [done for stage, done, _ in heard if stage == "windows"]
    assert done == list(range(1, len(done) + 1)), "how far it is was heard"
    assert heard[-1] == ("windows", len(done), len(done))
    assert len(done) > 1
    assert np.array_equal(viewer.layers[1].data > 0, found(out, "a") > 0)
    before = len(np.unique(viewer.layers[1].data))
    assert {control.name for control in widget.fields} == {"foreground", "min_size"}
    network = widget._work.session.pieces
    widget._work.session.pieces = None
    widget.fields["min_size"].value = 40
    until(lambda: not widget._busy and "min_size=40" in widget.command.value)
    assert 1 < len(np.unique(viewer.layers[1].data)) < before
    assert widget.command.value.endswith("--set postprocess.min_size=40")
    widget._work.session.pieces = network


def test_a_wrong_model_and_a_cancelled_work_are_said(out: Path, viewer: Any, tmp_path: Path) -> None:
    from toolkit.napari.widget import Segment

    widget = Segment(viewer)
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="noise")
    widget.image.value = viewer.layers[0]
    widget.model.choices = [str(tmp_path / "gone")]
    widget.segment()
    until(lambda: not widget._busy)
    assert "gone" in widget.said.value
    widget.model.choices = [str(out.parent / "model")]
    widget.segment()
    widget.cancel.changed.emit(True)
    until(lambda: not widget._busy)
    assert widget.said.value == "cancelled"
    assert len(viewer.layers) == 1
    assert not widget.cancel.enabled


def test_what_is_painted_is_saved_merged_and_marked(out: Path, viewer: Any) -> None:
    from toolkit.napari.layers import shown
    from toolkit.napari.widget import Correct

    for data, about, kind in shown(opened(out), opened(out).image("c")):
        getattr(viewer, f"add_{kind}")(data, **about)
    widget = Correct(viewer)
    widget.objects.value = viewer.layers[1]
    layer = viewer.layers[1]
    gone = int(np.unique(layer.data[layer.data > 0])[0])
    layer.data[layer.data == gone] = 0
    layer.selected_label = int(np.unique(layer.data[layer.data > 0])[0])
    inside = np.array([[1.2, 2.0], [1.2, 20.0], [9.0, 20.0], [9.0, 2.0]])
    across = np.array([[30.0, -4.0], [30.0, 9.0], [99.0, 9.0], [99.0, -4.0]])
    viewer.add_shapes([inside, across], shape_type="rectangle")
    widget.selected.value, widget.boxes.value, widget.by.value = True, True, "Ada"
    assert widget.merge() == opened(out).corrections / "c.tif"
    assert widget.said.value == "0 added, 1 removed, 0 changed"
    row = History(opened(out).corrections).standing()["c"]
    assert (row["by"], row["removed"]) == ("Ada", 1)
    assert row["marks"] == [str(layer.selected_label), "1:10,2:21", "30:48,0:10"]
