"""Sizes of objects as models know them and as users say them."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import UsageError
from toolkit.steps.sizes import Diameter, Sizes, diameters


@pytest.mark.parametrize(
    ("text", "how", "number"),
    [("auto", "auto", 0), ("OFF", "off", 0), ("30", "px", 30), (" 7.5px", "px", 7.5), (12, "px", 12),
     ("12um", "um", 12), ("8µm", "um", 8), ("8 μm", "um", 8)],
)  # fmt: skip
def test_a_diameter_is_pixels_or_micrometres(text: str | float, how: str, number: float) -> None:
    assert Diameter.parse(text) == Diameter(how, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "large", "0", "-3", "nan", "inf", "12mm", "1,5"])
def test_what_is_no_diameter_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a diameter is"):
        Diameter.parse(text)


def test_diameters_are_those_of_discs_and_balls() -> None:
    assert diameters(np.array([np.pi * 25]), 2) == pytest.approx([10])
    assert diameters(np.array([4 / 3 * np.pi * 125]), 3) == pytest.approx([10])


def test_a_model_knows_the_middle_half_of_what_it_learnt_and_half_an_octave_around_the_median() -> None:
    wide = Sizes.of(np.arange(1, 101, dtype=float))
    assert (wide.low, wide.median, wide.high) == (25.8, 50.5, 75.2)
    equal = Sizes.of(np.full(9, 20.0))
    assert (equal.low, equal.median, equal.high) == (14.1, 20.0, 28.3)
