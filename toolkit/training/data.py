"""Crops on the fly: batch n is a pure function of the seed and n, so any training can go on from any step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import free
from toolkit.io import Dataset, Item
from toolkit.io.meta import WEIGHTS
from toolkit.plugins import seams
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.told import told
from toolkit.steps import normalise
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import shrink, shrink_truth
from toolkit.training.augment import Sample, chosen
from toolkit.training.crowd import crowd
from toolkit.training.warp import crop_box, margin, warp
from toolkit.values.image import Image
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

SHARE = 0.5
"""Of the memory that is free when a training begins, what images may be kept in."""

Batch = dict[str, NDArray[Any]]
Held = tuple[Image, Scale, Truth, NDArray[np.int64]]


class Crops:
    """Augmented crops of a data set.

    An image is drawn with a probability that grows with the square root of its number of objects, so that neither the
    crowded nor the sparse ones rule, times the weight that the data set gives it; then an object of it, and the crop
    lies somewhere around it. A share `training.crowd` of the crops has a voxel in the middle near which two objects
    are, if the image has one. `weights` are known probabilities of the images; `sharers` processes share the memory
    for images.
    """

    def __init__(
        self, data: Dataset, recipe: Recipe, weights: NDArray[np.float64] | None = None, sharers: int = 1
    ) -> None:
        if not data.items:
            raise InputError("no images to train on", data.root)
        if not any(item.weight for item in data.items):
            raise InputError("all images have the weight 0", data.root / WEIGHTS, "give one of them more")
        self.recipe = recipe
        self.data = data
        self._augment = chosen(recipe.training.augment)
        self._cache: OrderedDict[int, Held] = OrderedDict()
        self._bytes = 0
        self._room = SHARE * free(Backend()) / sharers
        self._weights = weights

    def weights(self) -> NDArray[np.float64]:
        """Probability of each image; reads all truth once."""
        if self._weights is None:
            items = self.data.items
            # An image that is never drawn is not read.
            count = [max(1, len(self._load(i)[2].ids)) if item.weight else 1 for i, item in enumerate(items)]
            wish = np.sqrt(np.array(count, float)) * [item.weight for item in items]
            self._weights = wish / wish.sum()
        return self._weights

    def batches(self, step: int) -> tuple[Batch, ...]:
        """What step `step` takes: `training.accumulate` batches. Crop i of a step does not depend on their sizes."""
        return tuple(self.batch(step, part) for part in range(self.recipe.training.accumulate))

    def batch(self, step: int, part: int = 0) -> Batch:
        """Voxels `(B, C, *S)` and the targets of all losses, those of loss n named `n.name`."""
        training = self.recipe.training
        numbers = range(part * training.batch, (part + 1) * training.batch)
        samples = [self.sample(np.random.default_rng((training.seed, step, i))) for i in numbers]
        columns: dict[str, list[NDArray[Any]]] = {"voxels": [s.voxels for s in samples]}
        for sample in samples:
            for at, (section, loss) in enumerate(self.recipe.taught):
                with seams.calling(loss, "targets"), told(section):
                    if part == step == 0 and sample is samples[0]:
                        uneven = _uneven(sample.truth)
                        seams.targets(loss.targets(uneven), loss, uneven.shape)
                    targets = seams.targets(loss.targets(sample.truth), loss, sample.truth.shape)
                for name, target in targets.items():
                    columns.setdefault(f"{at}.{name}", []).append(target)
        return {name: _stack(arrays) for name, arrays in columns.items()}

    def sample(self, rng: np.random.Generator) -> Sample:
        """One augmented crop."""
        training = self.recipe.training
        image, scale, truth, crowded = self._load(int(rng.choice(len(self.data.items), p=self.weights())))
        if len(crowded) and rng.random() < training.crowd:
            around = crowded[rng.integers(len(crowded))].astype(float)
        elif len(truth.ids):
            spread = np.array(training.crop) / 4
            around = truth.centres[rng.integers(len(truth.ids))] + rng.uniform(-spread, spread)
        else:
            around = rng.uniform(0, image.shape)
        room = margin(training.crop, training.augment, training.scales)
        inner = crop_box(around, training.crop, image.shape)
        outer = inner.grow(room)
        sample = Sample(scale(image.read_reflected(outer)), truth.crop(outer))
        if any(room):
            sample = warp(sample, training.crop, training.augment, rng, training.scales)
        for augment in self._augment:
            sample = augment(sample, rng)
        return sample

    def _load(self, index: int) -> Held:
        """Image, its scale, truth and crowded voxels; the latest are kept in memory."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        item = self.data.items[index]
        with reading(item):
            self._cache[index] = found = self._read(item)
        self._bytes += _size(found)
        while self._bytes > self._room and len(self._cache) > 1:
            self._bytes -= _size(self._cache.popitem(last=False)[1])
        return found

    def _read(self, item: Item) -> Held:
        image = shrink(self.recipe.input.seen(self.data.image(item)), self.recipe.shrink)
        if image.ndim != self.recipe.ndim:
            raise InputError(
                f"the recipe is {self.recipe.ndim}-D and this image is {image.ndim}-D",
                item.image,
                "set tiling.window and training.crop to one number per axis",
            )
        truth = shrink_truth(self.data.truth(item), self.recipe.shrink)
        if truth.shape != image.shape:
            raise InputError("image and mask differ in shape", f"{item.name}: {image.shape} and {truth.shape}")
        scale = normalise.fit(image, self.recipe.normalise)
        held = Image(image.read(), image.axes, image.voxel_size, image.name, image.calibrated, image.notes)
        crowded = crowd(truth) if self.recipe.training.crowd else np.zeros((0, truth.ndim), np.int64)
        return held, scale, truth, crowded


@contextmanager
def reading(item: Item) -> Iterator[None]:
    """What goes wrong with the files of an image in here is said of them."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "an image or its mask cannot be read any more", item.image, error.strerror or str(error) or "check the disk"
        ) from error


def _uneven(truth: Truth) -> Truth:
    """As much of a crop as has no two axes of one length: in a square one nobody sees that axes have changed places."""
    stop: list[int] = []
    for n in truth.shape:
        stop.append(next((k for k in range(n, 0, -1) if k not in stop), n))
    return truth.crop(Box((0,) * len(stop), tuple(stop)))


def _size(held: Held) -> int:
    image, _, truth, crowded = held
    return int(image.source.nbytes + truth.layers.nbytes + crowded.nbytes)


def _stack(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Batch of arrays that may differ in their first axis, padded with zeros."""
    longest = max(len(a) for a in arrays)
    return np.stack([np.pad(a, ((0, longest - len(a)), *((0, 0),) * (a.ndim - 1))) for a in arrays])
