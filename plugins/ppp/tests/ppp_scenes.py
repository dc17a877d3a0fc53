"""Small generated predictions: crowded discs or balls, and patches that are right about them most of the time."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Box, Prediction


def labels(rng: np.random.Generator, shape: tuple[int, ...], count: int = 6, radius=(2, 5)) -> np.ndarray:
    """Objects that do not overlap, in a label image."""
    grid, found = np.indices(shape), np.zeros(shape, np.int32)
    for k in range(1, count + 1):
        centre, half = rng.uniform(0, shape), rng.uniform(*radius, len(shape))
        inside = sum(((g - c) / h) ** 2 for g, c, h in zip(grid, centre, half, strict=True)) < 1
        found[inside & (found == 0)] = k
    return found


def patches(rng: np.random.Generator, found: np.ndarray, patch: tuple[int, ...], noise: float = 1.5) -> np.ndarray:
    """`(C, *S)` probabilities that the two ends of each offset are in one object, with noise."""
    padded = np.pad(found, [(n // 2, n // 2) for n in patch])
    out = np.empty((int(np.prod(patch)), *found.shape), np.float32)
    for c, offset in enumerate(np.ndindex(*patch)):
        moved = padded[tuple(slice(o, o + n) for o, n in zip(offset, found.shape, strict=True))]
        logit = np.where((moved == found) & (found > 0), 2.5, -2.5) + noise * rng.standard_normal(found.shape)
        out[c] = 1 / (1 + np.exp(-logit))
    return out


def prediction(heads: dict[str, np.ndarray]) -> Prediction:
    """The heads of a whole image."""
    shape = heads["patches"].shape[1:]
    return Prediction(heads, Box.whole(shape), Box.whole(shape), shape)


def scene(seed: int, shape: tuple[int, ...], patch: tuple[int, ...], crowded: bool = False) -> Prediction:
    """A prediction, with `numinst` if asked for."""
    rng = np.random.default_rng(seed)
    found = labels(rng, shape)
    heads = {"patches": patches(rng, found, patch)}
    if crowded:
        logits = rng.standard_normal((3, *shape)) + 2 * np.stack([found == 0, found > 0, found % 3 == 1])
        heads["numinst"] = (np.exp(logits) / np.exp(logits).sum(0)).astype(np.float32)
    return prediction(heads)


@st.composite
def options(draw, ndim: int) -> PatchPerPix:
    """Any way to assemble that the specification allows."""
    background = draw(st.sampled_from(["complement", "below_threshold", "half"]))
    return PatchPerPix(
        patch=draw(st.tuples(*[st.sampled_from([1, 3, 5] if ndim == 2 else [1, 3])] * ndim)),
        threshold=draw(st.sampled_from([0.5, 0.6, 0.7, 0.9] + [0.3] * (background != "complement"))),
        background=background,
        sparse=draw(st.booleans()),
        vote=draw(st.sampled_from(["product", "normalised"])),
        count=draw(st.sampled_from(["informative", "decided"])),
        border=draw(st.sampled_from(["clip", "drop"])),
        cover_steps=draw(st.sampled_from([(0,), (8, 3, 0)])),
        cover_threshold=draw(st.sampled_from([None, 0.4, 0.8])),
        select=draw(st.sampled_from([True, True, True, False])),
        thin=draw(st.booleans()),
        paff_count=draw(st.sampled_from(["observed", "in_range"])),
        self_pairs=draw(st.booleans()),
        partition=draw(st.sampled_from(["mutex", "components"])),
        overlap=draw(st.sampled_from(["keep", "highest_probability"])),
        min_size=draw(st.sampled_from([0, 6])),
    )
