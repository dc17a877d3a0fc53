"""StarDist 2D as its 2D example has it: a grid of 2, 32 rays, as many tiles as it guesses itself."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from stages import main


def build() -> object:
    import tensorflow as tf
    from stardist.models import Config2D, StarDist2D

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return StarDist2D(Config2D(n_rays=32, grid=(2, 2), n_channel_in=1), name="random", basedir=None)


def predict(model: object, image: np.ndarray) -> None:
    from csbdeep.utils import normalize

    model.predict(normalize(image, 1, 99.8), n_tiles=model._guess_n_tiles(image), show_tile_progress=False)


def perfect(labels: np.ndarray) -> dict[str, np.ndarray]:
    from stardist.geometry import star_dist
    from stardist.utils import edt_prob

    return {"prob": edt_prob(labels)[::2, ::2], "dist": star_dist(labels, 32, grid=(2, 2)), "shape": labels.shape}


def objects(model: object, maps: dict[str, np.ndarray]) -> np.ndarray:
    shape = tuple(maps["shape"])
    return model._instances_from_prediction(shape, maps["prob"], maps["dist"], prob_thresh=0.5, nms_thresh=0.4)[0]


main(build, predict, perfect, objects)
