"""Touching objects separated by the shape of the foreground."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.postprocessors.components import STEPS, Component, components, divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.gpu.backend import Backend
from toolkit.plugins.search import Search
from toolkit.steps.survey import Fit, Survey
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.thought import Thought
from toolkit.values.voxels import Voxels

FINE = 32
"""Distances are rounded to this part of the smallest voxel edge: ties break alike everywhere."""


class Watershed(FromForeground):
    """Seeded watershed on the distance to the rim of the foreground, flooding the foreground alone. Exact.

    Reads head `foreground` and, if the model has it, head `boundary`: distances are then measured in the foreground
    without boundary, and the boundary is shared out afterwards. Two maxima of the distance seed two objects if every
    path between them dips by at least `depth` (h-maxima, Soille 2003 §6.3.4). Lengths are in units of the smallest
    voxel edge. Each connected component of the foreground is treated by itself. Score: mean foreground probability.
    """

    kind: Literal["watershed"] = "watershed"
    title: ClassVar[str] = "watershed on distances"
    shows: ClassVar[tuple[str, ...]] = ("seeds",)
    boundary: Annotated[float, Field(ge=0, le=1), Search(0.1, 0.9)] = 0.5
    """Voxels with a boundary probability above this are kept out of the distances; 1 ignores the boundary."""
    depth: Annotated[float, Field(gt=0), Search(0.25, 4, log=True)] = 0.75
    """Dip of the distance that separates two objects."""
    smoothing: Annotated[float, Field(ge=0), Search(0, 3)] = 1.0
    """Standard deviation of the Gaussian filter of the distances."""

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        if survey.bent:
            return Fit(0.4, f"{survey.shape}, and it cuts at every narrow place")
        return Fit(0.5 if survey.crowded else 0.7, f"{survey.shape} and {100 * survey.touching:.0f} % of them touch")

    def beside(self, prediction: Prediction) -> Sequence[str]:
        return ("boundary",) if "boundary" in prediction else ()

    def reach(self) -> int:
        return 1

    def settle(self, voxels: Voxels, backend: Backend) -> Instances:
        return divide(voxels, self._split, self.min_size)

    def thoughts(self, piece: Voxels, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """`seeds`: the voxels from which objects grow, where a component has several."""
        field = np.zeros((1, *piece.shape), np.float32)
        for component in components(piece, self.min_size):
            seeds = self._seeds(component)[1]
            field[0][component.box.slices][seeds > 0] = 1
        return {"seeds": field}

    def _split(self, component: Component) -> NDArray[Any]:
        """Labels of the objects of a component."""
        from skimage.segmentation import watershed

        height, seeds = self._seeds(component)
        if seeds.max() < 2:
            return component.mask
        return np.asarray(watershed(-height, seeds, mask=component.mask))  # type: ignore[no-untyped-call]

    def _seeds(self, component: Component) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """The distances, and the seeds of the objects of a component, 1 … n; none where nothing divides it."""
        from scipy import ndimage

        height = self._distance(component)
        if int(height.max()) < self._dip:
            return height, np.zeros_like(height)
        return height, ndimage.label(self._peaks(height), np.ones((3,) * height.ndim))[0]

    def _distance(self, component: Component) -> NDArray[np.int32]:
        """Smoothed distance of each voxel to the rim, in `FINE` parts of the smallest voxel edge."""
        import edt
        from scipy import ndimage

        size = np.array(component.whole.voxel_size or (1.0,) * component.mask.ndim)
        spacing = size / size.min()
        inside = component.mask
        if "boundary" in component.whole.values:
            inside = inside & (component.values("boundary")[0] <= self.boundary * STEPS)
        distance = edt.edt(inside, anisotropy=tuple(spacing.tolist()), parallel=1)
        # Without any rim in sight every voxel is infinitely deep.
        distance = np.minimum(distance, np.linalg.norm(inside.shape * spacing))
        if self.smoothing:
            distance = ndimage.gaussian_filter(distance, self.smoothing / spacing, mode="nearest")
        return np.where(inside, np.rint(distance * FINE), 0).astype(np.int32)

    def _peaks(self, height: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Maxima from which every path to a higher one dips by `depth`."""
        from skimage.morphology import local_maxima, reconstruction

        floor = reconstruction(height - self._dip, height)  # type: ignore[no-untyped-call]
        return np.asarray(local_maxima(floor), np.bool_)  # type: ignore[no-untyped-call]

    @property
    def _dip(self) -> int:
        return max(1, round(self.depth * FINE))
