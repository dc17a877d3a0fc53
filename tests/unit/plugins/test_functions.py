"""Post-processors and metrics that are written as functions."""

from __future__ import annotations

import pickle
from math import isnan, nan
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest

from toolkit.api import Instances, PluginError, Search, metric, postprocessor
from toolkit.gpu.backend import Backend
from toolkit.pipeline.passes import alone
from toolkit.testing import MetricTests, PostProcessorTests
from toolkit.testing.blockwise import assemble, grid, prediction
from toolkit.testing.ideal import drawn
from toolkit.testing.scenes import blobs
from toolkit.values.prediction import Head
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth


@postprocessor("bright", needs={"foreground": 1}, halo=20, title="bright pieces", citation="nobody", aliases=["light"])
def bright(heads: Any, level: Annotated[float, Search(0.2, 0.8)] = 0.5) -> Any:
    """Connected pieces above a level."""
    from scipy.ndimage import label

    return label(heads["foreground"][0] > level)[0]


@postprocessor("whole", needs={"foreground": None}, halo=None)
def whole(heads: Any, voxel_size: Any = (), size: int = 1) -> Any:
    """One object of everything above the mean, scored by how wide a voxel is."""
    inside = heads["foreground"].max(0) > heads["foreground"].mean()
    return Instances.from_labels(inside.astype(np.int32), {1: min(1.0, voxel_size[-1])}, {"size": np.array([size])})


@metric("off", lower_is_better=["off"])
def off(truth: Truth, predicted: Instances, times: float = 1.0) -> dict[str, float]:
    """How many objects more or fewer there are."""
    return {"off": times * abs(len(truth.ids) - len(predicted)) if len(truth.ids) else nan}


class TestBright(PostProcessorTests):
    spec = bright()
    heads = staticmethod(drawn)


class TestOff(MetricTests):
    spec = off()
    perfect: ClassVar = {"off": 0.0}


def test_parameters_are_fields_and_the_rest_is_said_once() -> None:
    spec = bright(level=0.7)
    assert (spec.kind, spec.model_dump()) == ("bright", {"kind": "bright", "level": 0.7})
    assert bright.tunable() == {"level": Search(0.2, 0.8)}
    assert (bright.title, bright.citation, bright.aliases) == ("bright pieces", "nobody", ("light",))
    assert bright.__doc__ == "Connected pieces above a level."
    assert (spec.halo(2), spec.halo(3), spec.exact) == ((20, 20), (20, 20, 20), False)
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(ValueError, match="needs a head foreground of 1 channel"):
        spec.check({"foreground": Head("foreground", 2)}, 2)


def test_a_function_that_needs_the_whole_image_gets_it_whatever_the_blocks() -> None:
    seen = prediction(drawn(blobs((48, 56))), (0.5, 0.25))
    one = assemble(whole(), seen)
    many = assemble(whole(), seen, grid([[0, 10, 48], [0, 30, 56]]))
    assert one == many
    assert whole.exact
    assert many.scores.tolist() == [0.25]
    assert "voxel_size" not in whole.model_fields
    assert assemble(whole(size=7), seen).attributes["size"].tolist() == [7]


def test_a_window_of_an_image_by_itself_is_an_image_where_it_lies() -> None:
    seen, window = prediction(drawn(blobs((48, 56))), (0.5, 0.25)), Box((0, 20), (40, 50))
    found = alone(whole(), seen.crop(window), Backend())
    part = prediction({"foreground": seen["foreground"][:, :40, 20:50]}, (0.5, 0.25))
    assert found == assemble(whole(), part).place(window, (48, 56))


def test_what_is_no_labels_is_told() -> None:
    @postprocessor("odd", needs={"foreground": 1})
    def odd(heads: Any) -> Any:
        return heads["foreground"][0] > 0.5

    with pytest.raises(PluginError, match=r"it gives no Instances .* but ndarray: .*; did you mean Instances.from_lab"):
        assemble(odd(), prediction(drawn(blobs((48, 56)))))


def test_heads_are_read_only() -> None:
    @postprocessor("writes", needs={"foreground": 1})
    def writes(heads: Any) -> Any:
        heads["foreground"][:] = 0

    with pytest.raises(ValueError, match="read-only"):
        writes().assemble(prediction(drawn(blobs((48, 56)))), Backend())


def test_a_parameter_without_a_type_is_refused_at_import() -> None:
    with pytest.raises(PluginError, match=r"a parameter has no type: odd\(level\); write level: float"):

        @postprocessor("odd", needs={})
        def odd(heads, level=0.5):  # type: ignore[no-untyped-def]
            return heads


def test_an_image_without_a_value_does_not_count() -> None:
    counts = [{"off": 2.0}, {"off": nan}, {"off": 0.0}]
    assert off().summarise(counts) == {"off": 1.0}
    assert isnan(off().summarise(counts[1:2])["off"])
    assert off(times=3.0).count(Truth.from_layers(np.ones((1, 2, 2))), Instances.empty((2, 2))) == {"off": 3.0}
