"""A classic method: Otsu's threshold, then a watershed between the middles of the pieces. No network, no weights."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from toolkit.api import Search, hookimpl, postprocessor

SEG_API = 2


@postprocessor("otsu", needs={"image": 1}, halo=None, title="Otsu's threshold and a watershed")
def otsu(heads, level: Annotated[float, Field(gt=0), Search(0.5, 2)] = 1.0, apart: Annotated[float, Field(ge=0)] = 3.0):
    """What is brighter than `level` times the threshold; nothing where bright and dark are hardly `apart`."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter, label
    from skimage.filters import threshold_otsu
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    image = gaussian_filter(heads["image"][0], 1)
    inside = image > level * threshold_otsu(image)
    bright, dark = image[inside], image[~inside]
    if not bright.size or not dark.size or bright.mean() - dark.mean() < apart * max(bright.std(), dark.std()):
        inside[:] = False
    depth = gaussian_filter(distance_transform_edt(inside), 1)
    return watershed(-depth, label(h_maxima(depth, 0.5) & inside)[0], mask=inside)


@hookimpl
def seg_postprocessors():
    return (otsu,)


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "recipes" / "otsu.yaml"]
