"""The widgets: any model with a slider for each field that can be tuned; and what is right in a result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, Label, LineEdit, ProgressBar, PushButton, create_widget
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer

from toolkit.correct.correct import correct
from toolkit.correct.result import opened
from toolkit.errors import ToolkitError
from toolkit.napari.controls import controls
from toolkit.napari.layers import KEY, labelled
from toolkit.napari.segmenting import Cancelled, Segmenting, image_of, models
from toolkit.napari.writer import save

POLL = 100
"""Milliseconds between two looks at how far the work is."""


class Segment(Container):  # type: ignore[misc]  # napari has no types here
    """Choose an image and a model, predict once, and move the sliders; the command below gives the same."""

    def __init__(self, napari_viewer: Any) -> None:
        self._viewer = napari_viewer
        self._work: Segmenting | None = None
        self._stop, self._seen = threading.Event(), ("", 0, 0)
        self._busy = self._again = False
        self.image = _choice(napari_viewer, ImageLayer, "image")
        self.model = ComboBox(choices=models(), label="model")
        self.go, self.cancel = PushButton(text="Segment"), PushButton(text="Cancel", enabled=False)
        self.bar, self.said = ProgressBar(visible=False, min=0), Label(value="")
        self.fields = Container(labels=True)
        self.command = LineEdit(value="", label="command", enabled=True)
        super().__init__(
            widgets=[self.image, self.model, self.go, self.cancel, self.bar, self.said, self.fields, self.command]
        )
        self.go.changed.connect(self.segment)
        self.cancel.changed.connect(self._stop.set)
        self._timer = QTimer()
        self._timer.setInterval(POLL)
        self._timer.timeout.connect(self._look)

    def segment(self) -> None:
        """Predict the chosen image and show its objects."""
        layer = self.image.value
        if layer is None or self._busy:
            self.said.value = "" if self._busy else "open an image first"
            return
        self._stop.clear()
        data, name, rgb = layer.data[0] if layer.multiscale else layer.data, layer.name, bool(layer.rgb)
        model, scale, source = str(self.model.value), layer.scale, getattr(layer.source, "path", None)

        def work() -> Segmenting:
            made = Segmenting(model, image_of(data, rgb, scale, name))
            made.predict(self._hear)
            return made

        def done(made: Segmenting) -> None:
            self._work, self._of = made, (name, tuple(scale)[-made.image.ndim :], source)
            self._controls()
            self.refresh()

        self._start(work, done)

    def refresh(self) -> None:
        """Make the objects anew with the values of the sliders, once what is being made is there."""
        if self._work is None:
            return
        if self._busy:
            self._again = True
            return
        made, values, (name, scale, source) = self._work, self.values(), self._of

        def done(objects: Any) -> None:
            layers = objects.layers().astype("int32")
            names = [f"{name} objects" + (f" {n + 1}" if len(layers) > 1 else "") for n in range(len(layers))]
            for old in [one for one in self._viewer.layers if one.metadata.get("made by") == name]:
                if old.name not in names:
                    self._viewer.layers.remove(old)
            ids = range(1, len(objects) + 1)
            known: list[dict[str, Any]] = [{"index": list(ids), "score": objects.scores} for _ in layers]
            for data, about, _ in labelled(name, layers, known, scale, {}):
                about["metadata"] = {"made by": name}
                if about["name"] in self._viewer.layers:
                    self._viewer.layers[about["name"]].data = data
                    self._viewer.layers[about["name"]].features = about["features"]
                else:
                    self._viewer.add_labels(data, **about)
            self.said.value = f"{len(objects)} objects"
            self.command.value = made.command(source and str(source), values)

        self._start(lambda: made.objects(values), done)

    def values(self) -> dict[str, Any]:
        """The values of the sliders."""
        return {control.name: control.value for control in self.fields}

    def _controls(self) -> None:
        assert self._work is not None, "a model that has predicted"
        self.fields.clear()
        for one in controls(self._work.session.model.recipe.postprocess):
            control = create_widget(value=one.value, widget_type=one.kind, name=one.field, options=one.options)
            control.changed.connect(lambda _: self.refresh())
            self.fields.append(control)

    def _hear(self, stage: str, done: int, total: int) -> None:
        self._seen = (stage, done, total)
        if self._stop.is_set():
            raise Cancelled

    def _look(self) -> None:
        stage, done, total = self._seen
        self.bar.visible, self.bar.max, self.bar.value = bool(total), max(total, 1), done
        self.bar.label = stage

    def _start(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._busy, self.cancel.enabled, self._seen = True, True, ("", 0, 0)
        self._timer.start()

        def finished() -> None:
            self._busy, self.cancel.enabled = False, False
            self._timer.stop()
            self.bar.visible = False

        def returned(outcome: tuple[Any, str]) -> None:
            finished()
            value, failed = outcome
            if failed:
                self.said.value = failed
                return
            done(value)
            if self._again and not self._busy:
                self._again = False
                self.refresh()

        def guarded() -> tuple[Any, str]:
            try:
                return work(), ""
            except Cancelled:
                return None, "cancelled"
            except ToolkitError as error:
                return None, str(error)

        worker = create_worker(guarded)
        worker.returned.connect(returned)
        worker.errored.connect(lambda _: finished())
        worker.start()


class Correct(Container):  # type: ignore[misc]  # napari has no types here
    """Save the edited objects of an image and merge them, with what is right in it."""

    def __init__(self, napari_viewer: Any) -> None:
        self._viewer = napari_viewer
        self.objects = _choice(napari_viewer, Labels, "objects")
        self.whole = CheckBox(text="all of this image is right")
        self.selected = CheckBox(text="the selected object is right")
        self.boxes = CheckBox(text="what lies in drawn rectangles is right")
        self.by = LineEdit(label="by")
        self.go, self.said = PushButton(text="Save and merge"), Label(value="")
        super().__init__(widgets=[self.objects, self.whole, self.selected, self.boxes, self.by, self.go, self.said])
        self.go.changed.connect(self.merge)

    def merge(self) -> Path | None:
        """Save and merge; what is wrong is said in the widget. Gives the file that was saved."""
        layer = self.objects.value
        about = None if layer is None else layer.metadata.get(KEY)
        if not about:
            self.said.value = "choose the objects of a result that was opened here"
            return None
        same = [one for one in self._viewer.layers
                if one.metadata.get(KEY, {}).get("image") == about["image"] and isinstance(one, Labels)]  # fmt: skip
        name = about["image"]
        right = [f"{name}:{layer.selected_label}"] if self.selected.value and layer.selected_label else []
        right += [name] if self.whole.value else []
        drawn = [one for one in self._viewer.layers if isinstance(one, Shapes)] if self.boxes.value else []
        right += [f"{name}:{box}" for shapes in drawn for box in boxes(shapes, layer)]
        try:
            path = save([(one.data, {"metadata": one.metadata}) for one in same])
            (done,) = correct(opened(about["out"]), names=[name], right=right, by=self.by.value).images
            if done.error is not None:
                raise done.error
        except ToolkitError as error:
            self.said.value = str(error)
            return None
        found = done.changes
        self.said.value = done.note if found is None else (
            f"{found.added} added, {found.removed} removed, {found.changed} changed"
        )  # fmt: skip
        return path


def boxes(shapes: Any, labels: Any) -> list[str]:
    """The boxes around the shapes of a layer, as far as they lie in the labels, in their voxels, as `--right` takes
    them."""
    found = []
    for corners in shapes.data:
        places = np.array([labels.world_to_data(shapes.data_to_world(corner)) for corner in corners])
        low = np.clip(np.floor(places.min(0) + 0.5), 0, None).astype(int)
        high = np.minimum(np.ceil(places.max(0) + 0.5).astype(int), labels.data.shape)
        high = np.maximum(high, low + 1)
        found.append(",".join(f"{a}:{b}" for a, b in zip(low, high, strict=True)))
    return found


def _choice(viewer: Any, kind: type[Any], label: str) -> ComboBox:
    """A box to choose one of the layers of a kind, which follows what there is."""
    box = ComboBox(
        choices=lambda _: [one for one in viewer.layers if isinstance(one, kind)], label=label, nullable=True
    )
    for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
        event.connect(lambda _: box.reset_choices())
    return box
