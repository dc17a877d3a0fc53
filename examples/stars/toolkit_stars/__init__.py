"""StarDist (Schmidt et al. 2018) by its own package: its targets and its decoder, around any network of the toolkit."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from toolkit.api import Head, Instances, Loss, Search, hookimpl, postprocessor

SEG_API, RAYS = 2, 32
DIRECTIONS = tuple((float(np.sin(a)), float(np.cos(a))) for a in 2 * np.pi * np.arange(RAYS) / RAYS)


class Stars(Loss):
    kind: Literal["stars"] = "stars"

    def heads(self, ndim):
        if ndim != 2:
            raise ValueError("these rays are those of images: choose a recipe of two axes")
        rays = {"transform": "directions", "directions": DIRECTIONS, "initial": 5.0}
        return Head("probability", 1, "sigmoid"), Head("distances", RAYS, **rays)

    def targets(self, truth):
        from stardist.geometry import star_dist
        from stardist.utils import edt_prob

        labels = truth.layers.max(0).clip(0)
        rays = star_dist(labels, RAYS).transpose(2, 0, 1)
        return {"probability": edt_prob(labels)[None], "distances": rays.copy(), "known": truth.known[None]}

    def build(self):
        from toolkit_stars.criterion import Criterion

        return Criterion()


@postprocessor("stars", needs={"probability": 1, "distances": RAYS}, halo=48, title="StarDist's decoder")
def stars(heads, probability: Annotated[float, Search(0.2, 0.8)] = 0.5, overlap: float = 0.4):
    from stardist import non_maximum_suppression, polygons_to_label
    from stardist.geometry import dist_to_coord

    rays, sure = np.maximum(np.moveaxis(heads["distances"], 0, -1), 1e-3), heads["probability"][0]
    points, probi, lengths = non_maximum_suppression(rays, sure, prob_thresh=probability, nms_thresh=overlap)
    labels = polygons_to_label(lengths, points, prob=probi, shape=sure.shape)
    polygons = dist_to_coord(lengths, points).swapaxes(1, 2)[np.unique(labels[labels > 0]) - 1]
    return Instances.from_labels(labels, attributes={"polygon": polygons.astype("float32")})


@hookimpl
def seg_losses():
    return (Stars,)


@hookimpl
def seg_postprocessors():
    return (stars,)


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "recipes" / "stars.yaml"]
