"""A method: foreground and distance are learnt, a watershed divides."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from toolkit.api import Head, Loss, Search, Truth, hookimpl, postprocessor

SEG_API = 2


class Depth(Loss):
    """Foreground, and how far inside of an object a voxel lies."""

    kind: Literal["depth"] = "depth"
    reach: Annotated[float, Field(gt=0)] = 6.0
    """Voxels from the rim at which the distance has grown to 1."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return Head("foreground", 1, "sigmoid"), Head("distance", 1)

    def targets(self, truth: Truth):
        from edt import edt  # heavy imports belong inside functions

        depth = sum(edt(layer.clip(0)) for layer in truth.layers).clip(max=self.reach) / self.reach
        inside = (truth.covered > 0).astype("float32")
        return {"foreground": inside[None], "distance": depth[None], "known": truth.known[None]}

    def build(self):
        from toolkit_depth.criterion import Criterion

        return Criterion()


@postprocessor("depth", needs={"foreground": 1, "distance": 1}, halo=32, title="watershed of the distance")
def depth(
    heads,
    foreground: Annotated[float, Field(gt=0, lt=1), Search(0.2, 0.8)] = 0.5,
    seed: Annotated[float, Field(gt=0, lt=1), Search(0.2, 0.9)] = 0.5,
):
    """Foreground, divided between the pieces that lie deep inside; objects smaller than `halo`, or blocks show."""
    from scipy.ndimage import label
    from skimage.segmentation import watershed

    inside = heads["foreground"][0] > foreground
    seeds = label(inside & (heads["distance"][0] > seed))[0]
    return watershed(-heads["distance"][0], seeds, mask=inside)


@hookimpl
def seg_losses():
    return (Depth,)


@hookimpl
def seg_postprocessors():
    return (depth,)


@hookimpl
def seg_recipes():
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
