"""The conformance tests bite: each planted fault turns one of them red, and a healthy spec none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal
from unittest import SkipTest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from pydantic import PrivateAttr
from scipy import ndimage

from toolkit.builtin.postprocessors.components import divide
from toolkit.builtin.postprocessors.from_foreground import FromForeground, rounded
from toolkit.plugins.functions import postprocessor
from toolkit.plugins.gathering import Gathering, need
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss, Network, PostProcessor
from toolkit.steps.stitch import stitch
from toolkit.testing import LossTests, MetricTests, NetworkTests, PostProcessorTests, RecipeTests
from toolkit.testing.ideal import drawn
from toolkit.testing.scenes import SHAPES, blobs, empty, worms
from toolkit.testing.strategies import instances, labels, partitions, scenes
from toolkit.testing.suite import outcome
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels


def red(tests: type, only: str = "") -> set[str]:
    """Names of the tests that fail, or `only` if that one does."""
    failed = set()
    instance = tests()
    for name in dir(instance):
        if name.startswith("test_" + only):
            try:
                getattr(instance, name)()
            except SkipTest:
                continue
            except Exception:
                failed.add(name.removeprefix("test_"))
    return failed


class Healthy(Network):
    kind: Literal["healthy"] = "healthy"
    fault: str = ""

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (1,) * ndim

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        return Layer(channels, heads, ndim, self.fault)


class Layer(torch.nn.Module):
    def __init__(self, channels: int, heads: tuple[Head, ...], ndim: int, fault: str) -> None:
        super().__init__()
        make = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        self.out = torch.nn.ModuleDict({h.name: make(channels, h.channels, 3, padding=1) for h in heads})
        self.idle = torch.nn.Linear(1, 1) if fault == "idle" else None
        self.shift = float(torch.rand(1)) if fault == "hidden state" else 0.0
        self.fault = fault
        for head in heads:
            if head.initial is not None and fault != "no initial value":
                torch.nn.init.zeros_(self.out[head.name].weight)
                torch.nn.init.constant_(self.out[head.name].bias, head.initial)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.fault == "writes":
            image += 1
        if self.fault == "batch":
            image = image - image.mean()
        raw = {name: layer(image) + self.shift for name, layer in self.out.items()}
        if self.fault == "cut off":
            raw = {name: head.relu() for name, head in raw.items()}
        if self.fault == "stride":
            raw = {name: _coarse(head) for name, head in raw.items()}
        return {name: head[..., 1:] for name, head in raw.items()} if self.fault == "shape" else raw


def _coarse(head: torch.Tensor) -> torch.Tensor:
    """As of a network that halves what it sees, and doubles what it says."""
    for axis in range(2, head.ndim):
        pairs = head.shape[axis] // 2
        head = head.narrow(axis, 0, 2 * pairs).unflatten(axis, (pairs, 2)).mean(axis + 1).repeat_interleave(2, axis)
    return head


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("shape", "each_head_has_its_channels_and_the_shape_of_the_input"),
        ("no initial value", "heads_begin_at_their_initial_value"),
        ("batch", "an_image_gets_the_same_heads_in_any_batch"),
        ("writes", "the_input_is_untouched"),
        ("hidden state", "weights_carry_everything"),
        ("idle", "every_parameter_learns"),
        ("cut off", "outputs_are_raw"),
        ("stride", "the_smallest_window_passes_through"),
    ],
)
def test_a_faulty_network_is_found_out(fault: str, test: str) -> None:
    assert test in red(type("T", (NetworkTests,), {"spec": Healthy(fault=fault)}), test)


def test_a_healthy_network_passes() -> None:
    assert red(type("T", (NetworkTests,), {"spec": Healthy()})) == set()


class SquaredError(Loss):
    kind: Literal["squared"] = "squared"
    fault: str = ""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("foreground", 1),) * (2 if self.fault == "one name" else 1)

    def targets(self, truth: Any) -> dict[str, Any]:
        if self.fault == "writes":
            truth.layers[:] = 0
        wanted = (truth.covered > 0)[None].astype(np.float32)
        if self.fault == "ids":
            wanted = truth.layers.max(0)[None].astype(np.float32)
        known = truth.known[None].astype(np.float32)
        if self.fault == "void":
            known = ~truth.unannotated[None]
        if self.fault == "not finite":
            wanted = wanted / wanted.max()
        return {"wanted": wanted, "known": known}

    def build(self) -> torch.nn.Module:
        return Squares(self.fault)


class Squares(torch.nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, heads: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        raw = heads["foreground"].detach() if self.fault == "detached" else heads["foreground"]
        error = (raw - targets["wanted"]) ** 2 * targets["known"]
        if self.fault == "map":
            return {"error": error}
        return {"error": error.mean()}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("one name", "heads_have_names_of_their_own_and_channels"),
        ("not finite", "targets_are_finite_arrays"),
        ("writes", "the_truth_is_untouched"),
        ("map", "terms_are_finite_numbers"),
        ("void", "void_voxels_pull_no_head"),
        ("void", "nothing_known_is_no_reason_to_move"),
        ("ids", "ids_mean_nothing"),
        ("detached", "descent_lowers_it"),
    ],
)
def test_a_faulty_loss_is_found_out(fault: str, test: str) -> None:
    assert test in red(type("T", (LossTests,), {"spec": SquaredError(fault=fault)}), test)


@pytest.mark.slow
def test_a_healthy_loss_passes() -> None:
    assert red(type("T", (LossTests,), {"spec": SquaredError()})) == set()


class Components(PostProcessor):
    kind: Literal["components"] = "components"
    fault: str = ""

    def check(self, heads: Any, ndim: int) -> None:
        need(heads, {"labels": 1}, self.kind)

    def assemble(self, prediction: Any, backend: Any) -> Instances:
        head = prediction["labels"]
        if self.fault == "writes":
            head[:] = 1
        if self.fault == "invents":
            head = head + 1
        if self.fault == "one object":
            head = head > 0
        found = np.rint(head[0]).astype(np.int32)
        if self.fault == "forgets":
            found = np.where(found == found.max(), 0, found)
        if self.fault == "scores":
            return Instances.from_labels(found, {int(k): 2.0 for k in np.unique(found)})
        if self.fault == "aside":
            found = np.roll(found, 1, axis=-1)
        if self.fault == "shape":
            return Instances.from_labels(found[1:])
        return Instances.from_labels(found)

    def passes(self) -> Any:
        if self.fault != "passes":
            return super().passes()
        (one,) = super().passes()

        def reduce(fragments: Sequence[Fragment], state: None, backend: Any) -> Instances:
            return Instances.empty(stitch(fragments).shape)

        return (type(one)(one.local, reduce, Fragment),)

    def halo(self, ndim: int) -> tuple[int, ...]:
        return ((0,) if self.fault == "halo" else (12,)) * ndim


class ComponentsTests(PostProcessorTests):
    def heads(self, scene: Any) -> Any:
        return {"labels": scene.truth.layers.astype(np.float32)}


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("writes", "the_heads_are_untouched"),
        ("invents", "nothing_gives_nothing"),
        ("one object", "ideal_heads_give_the_objects"),
        ("scores", "scores_are_probabilities"),
        ("shape", "one_block_is_the_same_as_assemble"),
        ("passes", "one_block_is_the_same_as_assemble"),
        ("halo", "blocks_do_not_matter"),
        ("forgets", "of_few_objects_none_is_left_out"),
        ("aside", "ideal_heads_give_the_objects"),
    ],
)
def test_a_faulty_postprocessor_is_found_out(fault: str, test: str) -> None:
    assert test in red(type("T", (ComponentsTests,), {"spec": Components(fault=fault)}), test)


def test_a_bare_threshold_on_the_image_is_told_what_a_classic_method_does() -> None:
    @postprocessor("bare", needs={"image": 1}, halo=None)
    def bare(heads: Any) -> Any:
        from scipy.ndimage import label

        return label(heads["image"][0] > heads["image"].mean())[0]

    class Tests(PostProcessorTests):
        spec = bare()

        def heads(self, scene: Any) -> Any:
            return {"image": drawn(scene)["image"]}

    with pytest.raises(AssertionError, match="objects that touch are divided: label alone makes them one"):
        Tests().test_ideal_heads_give_the_objects()
    with pytest.raises(AssertionError, match="noise is none: ask how far bright and dark are apart"):
        Tests().test_nothing_gives_nothing()


def test_who_sees_heads_of_a_network_is_told_nothing_of_images() -> None:
    @postprocessor("aside", needs={"foreground": 1}, halo=32)
    def aside(heads: Any) -> Any:
        from scipy.ndimage import label, shift

        return label(shift(heads["foreground"][0], 4, order=1) > 0.5)[0]

    with pytest.raises(AssertionError, match=r"F1 0.\d\d: 5 objects, \d found$"):
        type(
            "Tests", (PostProcessorTests,), {"spec": aside(), "heads": staticmethod(drawn)}
        )().test_ideal_heads_give_the_objects()


def test_a_postprocessor_that_claims_to_be_exact_and_is_not_is_found_out() -> None:
    claims = type("Claims", (Components,), {"exact": True, "__module__": __name__})
    tests = type("T", (ComponentsTests,), {"spec": claims(fault="halo")})
    assert red(tests, "blocks_do_not_matter")


class Loose(FromForeground):
    """Its loose pieces are not what they should be."""

    kind: Literal["loose"] = "loose"
    fault: str = ""

    def cut(self, piece: Any) -> Any:
        kept = piece["foreground"][:, 0]
        if self.fault == "ties":
            return rounded(piece.select(kept >= np.float32(self.foreground)))
        if self.fault == "double":
            return rounded(piece.select(kept.astype(np.float64) > self.foreground))
        return super().cut(piece)

    def settle(self, voxels: Any, backend: Any) -> Instances:
        return divide(voxels, lambda component: component.mask, self.min_size)


class Remembering(Loose):
    """Scales by the greatest value of another window that it has seen: the first, or the previous one."""

    kind: Literal["remembering"] = "remembering"  # type: ignore[assignment]
    _seen: list[float] = PrivateAttr(default_factory=list)
    everywhere: ClassVar[list[float]] = []

    def probability(self, prediction: Any) -> Any:
        found = super().probability(prediction)
        seen, own = self.everywhere if self.fault == "everywhere" else self._seen, float(found.max())
        most = seen[-1] if seen else own
        if self.fault == "previous" or not seen:
            seen.append(own)
        return found / max(most, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "test"), [
    ("", "a_piece_depends_on_its_window_alone"),
    ("previous", "a_piece_depends_on_its_window_alone"),
    ("everywhere", "no_hash_decides"),
])  # fmt: skip
def test_a_postprocessor_that_remembers_windows_is_found_out(fault: str, test: str) -> None:
    tests = {"spec": Remembering(fault=fault), "heads": staticmethod(drawn), "ndims": (2,)}
    assert test in red(type("T", (PostProcessorTests,), tests))


@pytest.mark.parametrize("fault", ["ties", "double"])
def test_a_loose_piece_that_is_cut_beside_its_threshold_is_found_out(fault: str) -> None:
    tests = {"spec": Loose(fault=fault), "heads": staticmethod(drawn), "ndims": (2,)}
    name = "loose_pieces_serve_every_value_in_the_range_of_a_search"
    assert red(type("T", (PostProcessorTests,), tests), name) == {name}
    assert red(type("T", (PostProcessorTests,), {**tests, "spec": Loose()}), name) == set()


class Everything(Gathering):
    """Takes it for granted that what it settles are all voxels of the image."""

    kind: Literal["everything"] = "everything"

    def check(self, heads: Any, ndim: int) -> None:
        need(heads, {"foreground": 1}, self.kind)

    def keep(self, prediction: Any, backend: Any, loose: bool = False) -> Voxels:
        seen = prediction.crop(prediction.core)
        return Voxels.of(np.ones(seen.box.shape, bool), {"p": seen["foreground"][0].ravel()}, seen.box, seen.shape)

    def settle(self, voxels: Any, backend: Any) -> Instances:
        return Instances.from_labels(ndimage.label(voxels["p"].reshape(voxels.shape) > 0.5)[0])


def test_a_method_that_fails_where_it_is_shown_one_window_of_an_image_is_found_out() -> None:
    tests = {"spec": Everything(), "heads": staticmethod(drawn), "ndims": (2,)}
    name = "the_piece_of_any_window_can_be_looked_at_by_itself"
    assert red(type("T", (PostProcessorTests,), tests)) == {name}
    assert red(type("T", (PostProcessorTests,), {**tests, "spec": Loose()}), name) == set()


class Failing(Loose):
    """Needs a module that is not there, whenever it is asked."""

    kind: Literal["failing"] = "failing"  # type: ignore[assignment]

    def keep(self, prediction: Any, backend: Any, loose: bool = False) -> Any:
        raise ModuleNotFoundError("No module named 'absent'", name="absent")


def test_what_fails_in_a_verb_is_one_sentence_in_every_check() -> None:
    checked = type("T", (PostProcessorTests,), {"spec": Failing(), "heads": staticmethod(drawn), "ndims": (2,)})()
    names = [name for name in dir(checked) if name.startswith("test_") and "gpu" not in name]
    failed = [each for name in names if (each := outcome("it", name, getattr(checked, name))).state == "failed"]
    assert len(failed) > 10
    assert [each.why for each in failed if not each.why.startswith("failing failed: ModuleNotFoundError")] == []
    assert all("\n" not in each.why for each in failed)


@pytest.mark.slow
def test_a_healthy_postprocessor_passes() -> None:
    assert red(type("T", (ComponentsTests,), {"spec": Components()})) == set()


class Missing(Metric):
    kind: Literal["missing"] = "missing"
    lower_is_better: ClassVar[tuple[str, ...]] = ("missing",)
    fault: str = ""

    def count(self, truth: Any, predicted: Instances) -> dict[str, Any]:
        numbers = {"true": len(truth.instances), "found": len(predicted)}
        if self.fault == "arrays":
            return {"true": np.int64(numbers["true"]), "found": numbers["found"]}
        if self.fault == "ids":
            return {"true": int(truth.ids.sum()), "found": numbers["found"]}
        if self.fault == "flat":
            return {"true": truth.ndim, "found": 0}
        return numbers

    def summarise(self, counts: Sequence[dict[str, Any]]) -> dict[str, float]:
        if self.fault == "order":
            return {"missing": float(counts[0]["true"] * 10 + counts[-1]["found"])}
        value = sum(abs(c["true"] - c["found"]) for c in counts) / len(counts)
        return {f"missing {len(counts)}" if self.fault == "keys" else "missing": value}


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("arrays", "counts_can_be_stored"),
        ("ids", "ids_mean_nothing"),
        ("flat", "a_flat_volume_is_an_image"),
        ("keys", "many_images_have_the_keys_of_one"),
        ("order", "the_order_of_images_means_nothing"),
        ("ids", "the_truth_itself_is_perfect"),
    ],
)
def test_a_faulty_metric_is_found_out(fault: str, test: str) -> None:
    tests = type("T", (MetricTests,), {"spec": Missing(fault=fault), "perfect": {"missing": 0.0}})
    assert test in red(tests, test)


@pytest.mark.slow
def test_a_healthy_metric_passes() -> None:
    assert red(type("T", (MetricTests,), {"spec": Missing(), "perfect": {"missing": 0.0}})) == set()


def test_a_recipe_whose_postprocessor_expects_something_else_is_found_out() -> None:
    changes = ("network.maps=[4, 8]", "postprocess.foreground=0.99", "postprocess.min_size=200")
    assert red(type("T", (RecipeTests,), {"name": "builtin:unet", "changes": changes}), "ideal_heads")


@pytest.mark.parametrize("ndim", [2, 3])
def test_blobs_touch_and_never_overlap(ndim: int) -> None:
    scene = blobs(SHAPES[ndim], seed=ndim)
    assert len(scene.instances) >= 4
    assert len(scene.truth.layers) == 1
    assert scene.image.shape == scene.truth.shape
    objects = [ndimage.binary_dilation(scene.truth.layers[0] == k) for k in scene.truth.ids]
    assert (np.sum(objects, axis=0) > 1).any(), "no two blobs touch"


@pytest.mark.parametrize("ndim", [2, 3])
def test_worms_cross_and_stay_whole(ndim: int) -> None:
    scene = worms(SHAPES[ndim], count=3, radius=2.5)
    found = scene.instances
    assert len(found) == 3
    assert len(found.overlapping_pairs()[0]) >= 2
    for k in range(3):
        assert ndimage.label(found.mask(k)[1], np.ones((3,) * ndim))[1] == 1


def test_scenes_depend_on_their_seed_alone() -> None:
    one, same, other = (blobs((32, 32), seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.image.read(), same.image.read())
    assert one.instances == same.instances
    assert one.instances != other.instances
    assert len(empty((16, 16)).instances) == 0


@settings(max_examples=20, deadline=None)
@given(scene=scenes(), image=labels(), some=instances())
def test_strategies_draw_what_they_say(scene: Any, image: np.ndarray, some: Instances) -> None:
    assert scene.image.shape == scene.truth.shape
    assert image.dtype == np.int32
    assert image.min() >= 0
    assert ((some.scores >= 0) & (some.scores <= 1)).all()


@settings(max_examples=50, deadline=None)
@given(blocks=partitions((7, 9, 5)))
def test_partitions_cover_every_voxel_once(blocks: list) -> None:
    seen = np.zeros((7, 9, 5), int)
    for block in blocks:
        seen[block.core.slices] += 1
    assert (seen == 1).all()
    assert all(block.core in Box.whole((7, 9, 5)) for block in blocks)


@pytest.mark.parametrize(("way", "why"), [
    ("os._exit(4)", "it ended the process with status 4"),
    ("os._exit(0)", "it ended the process with status 0"),
    ("sys.exit(0)", "SystemExit: 0"),
])  # fmt: skip
def test_the_suite_reports_every_check_of_a_plugin_that_may_end_the_process(
    way: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.battery.installed import install, install_good
    from toolkit.testing.suite import run

    install_good(tmp_path)
    ends = f"import os, sys\nfrom fine_plugin import *\nDifference.count = lambda *_: {way}"
    install(tmp_path, "ends", "ends_plugin", ends)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    outcomes = list(run("fine", timeout=120))
    assert {o.state for o in outcomes} == {"ok"}
    assert {o.subject for o in outcomes} == {"metric difference"}
    last = [each for each in run("ends", timeout=120) if each.state == "failed"][-1]
    assert last.why.endswith(why)


def test_the_suite_says_why_a_plugin_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.battery.installed import install
    from toolkit.testing.suite import run

    install(tmp_path, "raises", "raises_plugin", "raise RuntimeError('bad on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (one,) = run("raises", timeout=120)
    assert (one.subject, one.check, one.state) == ("plugin raises", "import", "failed")
    assert "RuntimeError: bad on purpose" in one.why
