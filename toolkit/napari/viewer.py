"""napari with an image of a result and the widget that saves what is corrected: `seg correct --napari`."""

from __future__ import annotations

from importlib.util import find_spec

from toolkit.correct.result import Result, Segmented
from toolkit.errors import UsageError


def needed() -> None:
    """Raise `UsageError` with what to install where there is no napari."""
    if find_spec("napari") is None:
        raise UsageError("napari is not installed", "--napari", "pip install 'seg-toolkit[napari]'")


def show(result: Result, image: Segmented) -> None:
    """Show an image and its objects, and return when the window is closed."""
    needed()
    import napari

    from toolkit.napari.layers import shown
    from toolkit.napari.widget import Correct

    layers = shown(result, image)
    viewer = napari.Viewer(title=f"{result.out.name}: {image.name}")
    for data, about, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **about)
    viewer.window.add_dock_widget(Correct(viewer), name="Correct", area="right")
    napari.run()
