"""Objects: exact over blocks, stitched, and without a network."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from toolkit.api import FromForeground, Instances, Search, need, postprocessor, runs


class Exact(FromForeground):
    """Connected pieces of foreground without its boundary."""

    kind: Literal["exact"] = "exact"
    most: ClassVar[float] = 0.5

    def beside(self, prediction):
        return ("boundary",)

    def settle(self, voxels, backend):
        from scipy.ndimage import label

        inside = voxels.select(voxels["boundary"][:, 0] < 255 * self.most)
        labels = label(inside.mask())[0].reshape(-1)[inside.index]
        start, length, owner = runs.of_voxels(inside.index, labels, voxels.shape[-1])
        size = np.bincount(labels, minlength=1)
        scores = np.bincount(labels, weights=inside["foreground"][:, 0], minlength=1) / (255 * np.maximum(size, 1))
        kept = size[owner] >= self.min_size
        return Instances.from_runs(voxels.shape, start[kept], length[kept], owner[kept], scores)

    def check(self, heads, ndim):
        need(heads, {"foreground": 1, "boundary": 1}, self.kind)


@postprocessor("stitched", needs={"foreground": 1, "boundary": 1}, halo=20)
def stitched(heads, level: Annotated[float, Field(gt=0, lt=1), Search(0.2, 0.8)] = 0.5, min_size: int = 8):
    """Pieces of smoothed foreground without boundary, grown back."""
    from scipy.ndimage import label, uniform_filter
    from skimage.segmentation import watershed

    inside = uniform_filter(heads["foreground"][0], 3) > level
    pieces = label(inside & (heads["boundary"][0] < level))[0]
    size = np.bincount(pieces.ravel(), minlength=1)
    pieces[size[pieces] < min_size] = 0
    labels = watershed(heads["boundary"][0], pieces, mask=inside)
    scores = {k: float(heads["foreground"][0][labels == k].mean().clip(0, 1)) for k in set(labels[labels > 0].tolist())}
    return Instances.from_labels(labels, scores)


@postprocessor("classic", needs={"image": 1}, halo=None)
def classic(heads, level: Annotated[float, Field(gt=0), Search(0.3, 0.9)] = 0.5):
    """Bright pieces, divided between their middles."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter, label
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    image = gaussian_filter(heads["image"][0], 1)
    inside = image > level
    bright, dark = image[inside], image[~inside]
    if not bright.size or not dark.size or bright.mean() - dark.mean() < 3 * max(bright.std(), dark.std()):
        inside[:] = False
    depth = gaussian_filter(distance_transform_edt(inside), 1)
    return watershed(-depth, label(h_maxima(depth, 0.5) & inside)[0], mask=inside)
