"""Components of blocks, joined, are the components of the image."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.gpu.backend import Backend
from toolkit.testing.blockwise import assemble, grid, prediction
from toolkit.values.instances import Instances


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from([(9, 14), (1, 17), (17, 1), (5, 7, 9)]), st.integers(0, 10**6), st.integers(1, 6))
def test_any_blocks_have_the_components_of_the_image(
    data: st.DataObject, shape: tuple[int, ...], seed: int, min_size: int
) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(shape).astype(np.float32) * np.float32(rng.choice([0.6, 0.8, 1.0]))
    cuts = [sorted({0, n, *data.draw(st.lists(st.integers(1, max(1, n - 1)), max_size=4))}) for n in shape]
    spec, seen = Threshold(foreground=0.5, min_size=min_size), prediction({"foreground": probability[None]})
    found = assemble(spec, seen, grid(cuts))
    labels, count = ndimage.label(probability > 0.5)
    labels[np.bincount(labels.reshape(-1), minlength=count + 1)[labels] < min_size] = 0
    steps = np.rint(probability * 255).astype(int)
    means = {n: steps[labels == n].sum() / (255 * (labels == n).sum()) for n in np.unique(labels[labels > 0]).tolist()}
    expected = Instances.from_labels(labels, means)
    assert found == expected
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.scores, spec.assemble(seen, Backend()).scores)


def test_one_object_through_every_block_is_one_object() -> None:
    snake = np.zeros((1, 40, 40), np.float32)
    snake[0, ::4] = 1
    for row in range(0, 36, 8):
        snake[0, row : row + 4, -1] = 1
        snake[0, row + 4 : row + 8, 0] = 1
    found = assemble(Threshold(), prediction({"foreground": snake}), grid([range(0, 41, 5)] * 2))
    assert len(found) == 1
    assert found.sizes.tolist() == [int(snake.sum())]
