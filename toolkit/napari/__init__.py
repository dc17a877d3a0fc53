"""Results in napari: shown, corrected, made anew with sliders. Only `widget` and `viewer` import napari itself.

`napari.yaml` beside this file tells napari what there is.
"""
