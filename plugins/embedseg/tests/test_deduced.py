"""What follows from the objects of a data set; what does not go together."""

import numpy as np
import pytest
from toolkit_embedseg.cluster import EmbedSegClusters
from toolkit_embedseg.loss import EmbedSegLoss

from toolkit.api import Survey, Truth, UsageError
from toolkit.testing import Catalogue, Recipe


def boxes(shape: tuple[int, ...], sizes: list[tuple[int, ...]], voxel_size: tuple[float, ...] = ()) -> Survey:
    """Boxes of these sizes, one after the other along the last axis."""
    labels, at = np.zeros((1, *shape), np.int32), 0
    for k, size in enumerate(sizes):
        labels[(0, *(slice(0, n) for n in size[:-1]), slice(at, at + size[-1]))] = k + 1
        at += size[-1] + 1
    return Survey.of([Truth.from_layers(labels, voxel_size=voxel_size)])


def test_a_flat_data_set_gives_grid_size_and_the_weight_of_the_paper() -> None:
    seen = boxes((60, 200), [(50, 100), (4, 5), (20, 20)])
    loss, clusters = EmbedSegLoss().deduced(seen), EmbedSegClusters().deduced(seen)
    assert loss["grid"].value == clusters["grid"].value == 257  # 1.5 · 100, rounded up to a power of two, and one
    assert loss["anisotropy"].value == clusters["anisotropy"].value == []
    assert clusters["min_size"].value == 20
    assert loss["foreground_weight"].value == 10


def test_volumes_give_the_anisotropy_and_the_ratio_of_background_to_foreground() -> None:
    seen = boxes((10, 10, 20), [(10, 10, 4), (10, 10, 1)], (2.0, 1.0, 1.0))
    loss = EmbedSegLoss().deduced(seen)
    assert loss["anisotropy"].value == [2.0, 1.0, 1.0]
    assert loss["foreground_weight"].value == 3.0
    assert loss["grid"].value == 65  # at least 64 voxels are a unit


def test_an_untrained_network_draws_its_seeds_around_half_of_the_median_object() -> None:
    seen = boxes((60, 200), [(30, 30)])
    found = EmbedSegLoss().deduced(seen)
    unit = found["grid"].value - 1
    phi = np.exp(-np.exp(10 * found["bandwidth_start"].value) * (15 / unit) ** 2)
    assert phi == pytest.approx(0.5, abs=0.03)


def test_without_objects_the_anisotropy_alone_follows() -> None:
    seen = boxes((5, 5, 5), [], (2.0, 1.0, 1.0))
    for spec in (EmbedSegLoss(), EmbedSegClusters()):
        assert {name: because.value for name, because in spec.deduced(seen).items()} == {"anisotropy": [2.0, 1.0, 1.0]}


@pytest.mark.parametrize("change", ["loss.grid=100", "postprocess.anisotropy=[2,1,1]"])
def test_loss_and_clustering_that_measure_differently_are_refused(change: str) -> None:
    catalogue = Catalogue()
    plugin, path = catalogue.locate("recipes", "embedseg-3d", "embedseg")
    with pytest.raises(UsageError, match=r"must be equal, and they are"):
        Recipe.load(path, catalogue, plugin, [change])


def test_an_anisotropy_for_other_axes_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="anisotropy needs one number per spatial axis"):
        EmbedSegLoss(anisotropy=(1.0, 1.0)).targets(Truth.from_layers(np.ones((1, 4, 4, 4), np.int32)))


def test_an_anisotropy_that_the_voxels_do_not_have_is_a_sentence() -> None:
    truth = Truth.from_layers(np.ones((1, 4, 4, 4), np.int32), voxel_size=(2.0, 1.0, 1.0))
    EmbedSegLoss(anisotropy=(2.1, 1.0, 1.0)).targets(truth)
    with pytest.raises(ValueError, match=r"the voxels are not of this anisotropy: anisotropy=\[5.0, 1.0, 1.0\]"):
        EmbedSegLoss(anisotropy=(5.0, 1.0, 1.0)).targets(truth)
