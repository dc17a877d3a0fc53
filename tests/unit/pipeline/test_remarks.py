"""What is odd about the values of an image is said."""

from __future__ import annotations

import numpy as np

from toolkit.pipeline.remarks import ground
from toolkit.steps.normalise import Normalise, fit
from toolkit.testing.scenes import blobs
from toolkit.values.image import Image

KNOWS = ("haematoxylin",)


def test_a_bright_ground_is_said_where_the_model_learnt_a_dark_one() -> None:
    plain = blobs((64, 80), count=4, seed=3).image.read()[0]
    negative = fit(Image.from_array(plain.max() - plain), Normalise())
    assert ground("channel 0 of 1", fit(Image.from_array(plain), Normalise()), KNOWS) == ()
    assert "invert the image" in ground("channel 0 of 1", negative, KNOWS)[0]
    assert ground("haematoxylin, for this is stained tissue", negative, KNOWS) == ()
    assert ground("channel 0 of 1", negative, ()) == ()


def test_values_far_from_all_others_are_said_for_every_model() -> None:
    array = blobs((64, 80), count=4, seed=3).image.read()[0].astype(np.int32)
    array[:5] = -99999
    said = ground("channel 0 of 1", fit(Image.from_array(array), Normalise()), ())
    assert len(said) == 1
    assert said[0].startswith("7.8 % of the values are -99999, far below all others")
