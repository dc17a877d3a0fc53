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


@pytest.mark.parametrize(("given", "wrong"), [
    (lambda p: p > 0.5, r"it gives a mask, bool of shape \(48, 56\): .*; number its pieces: return scipy"),
    (lambda p: (p > 0.5) * 1.0, r'float64 of shape \(48, 56\): .*; labels are integers: return labels.astype\("int32'),
    (lambda p: (p > 0.5)[None] * 1, r"int64 of shape \(1, 48, 56\), and the heads are of \(48, 56\): .*; give one"),
    (lambda p: (p > 0.5).T * 1, r"int64 of shape \(56, 48\), and the heads are of \(48, 56\)"),
    (lambda p: (p > 0.5) - 1, "labels down to -1: .*; 0 is background, and objects begin with 1"),
    (lambda p: np.arange(p.size).reshape(p.shape).astype(np.uint8), "uint8 holds no label greater than 255, .*int32"),
    (lambda p: [p > 0.5], r"it gives a list: .*; return labels, integers of shape \(48, 56\)"),
    (lambda p: (p > 0.5, 3), r"it gives a tuple: .*; return its labels alone: label\(…\)\[0\]"),
    (lambda p: None, "it gives nothing: .*; return labels"),
    (lambda p: {}["a"], "odd failed: KeyError: 'a'"),
])  # fmt: skip
@pytest.mark.parametrize("halo", [0, None])
def test_what_is_no_labels_is_told_with_the_name_of_the_function(given: Any, wrong: str, halo: int | None) -> None:
    @postprocessor("odd", needs={"foreground": 1}, halo=halo)
    def odd_one(heads: Any) -> Any:
        return given(heads["foreground"][0])

    with pytest.raises(PluginError, match=wrong) as told:
        assemble(odd_one(), prediction(drawn(blobs((48, 56)))))
    assert f"odd{' failed' * ('failed' in wrong)}: " in str(told.value)
    assert f": {__name__}.odd_one; " in str(told.value)


def test_a_head_that_is_not_among_those_it_needs_is_named() -> None:
    @postprocessor("odd", needs={"foreground": 1})
    def odd(heads: Any) -> Any:
        return heads["boundary"][0] > 0.5

    with pytest.raises(PluginError, match=r"it reads a head boundary, and needs foreground: .*; or name it in needs"):
        assemble(odd(), prediction(drawn(blobs((48, 56)))))


def test_a_head_that_is_written_wrongly_gets_the_right_name() -> None:
    @postprocessor("odd", needs={"foreground": 1})
    def odd(heads: Any) -> Any:
        return heads["forground"][0] > 0.5

    with pytest.raises(PluginError, match=r"it reads a head forground, .*; did you mean 'foreground'\?"):
        assemble(odd(), prediction(drawn(blobs((48, 56)))))


def test_heads_are_read_only() -> None:
    @postprocessor("writes", needs={"foreground": 1})
    def writes(heads: Any) -> Any:
        heads["foreground"][:] = 0

    with pytest.raises(PluginError, match="read-only"):
        writes().assemble(prediction(drawn(blobs((48, 56)))), Backend())


def test_a_parameter_that_no_recipe_can_hold_is_named() -> None:
    def odd(heads: Any, level: float = 0.5, kernel: np.ndarray | None = None) -> Any:
        return heads

    said = r"a type that no recipe can hold: odd\(kernel\); fields are numbers, texts"
    with pytest.raises(PluginError, match=said):
        postprocessor("odd", needs={})(odd)


def test_a_parameter_without_a_type_is_refused_at_import() -> None:
    with pytest.raises(PluginError, match=r"a parameter has no type: odd\(level\); write level: float"):

        @postprocessor("odd", needs={})
        def odd(heads, level=0.5):  # type: ignore[no-untyped-def]
            return heads


@pytest.mark.parametrize("name", ["kind", "title", "assemble"])
def test_a_parameter_whose_name_a_method_has_already_is_refused_at_import(name: str) -> None:
    made: dict[str, Any] = {}
    exec(f"def odd(heads, {name}: float = 0.5):\n    return heads\n", made)
    with pytest.raises(PluginError, match=rf"a name that means something else: odd\({name}\); rename it"):
        postprocessor("odd", needs={})(made["odd"])


def test_needs_that_say_no_channels_are_refused_at_import() -> None:
    with pytest.raises(PluginError, match=r"needs is no dictionary: odd\('foreground'\); write \{'foreground': 1\}"):

        @postprocessor("odd", needs="foreground")  # type: ignore[arg-type]
        def odd(heads: Any) -> Any:
            return heads


@pytest.mark.parametrize(("given", "gives"), [(None, "NoneType"), (3.0, "float"), ({"off": "much"}, "{'off': 'much'}")])
def test_what_is_no_values_is_told_with_the_name_of_the_metric(given: Any, gives: str) -> None:
    @metric("odd")
    def odd(truth: Truth, predicted: Instances) -> Any:
        return given

    with pytest.raises(PluginError, match=f"odd: it gives {gives}: .*odd; give {{name: number}}"):
        odd().count(Truth.from_layers(np.ones((1, 2, 2))), Instances.empty((2, 2)))


def test_an_image_without_a_value_does_not_count() -> None:
    counts = [{"off": 2.0}, {"off": nan}, {"off": 0.0}]
    assert off().summarise(counts) == {"off": 1.0}
    assert isnan(off().summarise(counts[1:2])["off"])
    assert off(times=3.0).count(Truth.from_layers(np.ones((1, 2, 2))), Instances.empty((2, 2))) == {"off": 3.0}
