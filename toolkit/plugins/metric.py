"""What measures agreement: the fourth kind of spec."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from toolkit.plugins.specs import Spec
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import numpy as np

Counts = dict[str, Any]
"""What one image contributes to a metric, by name."""


class Metric(Spec):
    """A measure of agreement between truth and prediction."""

    additive: ClassVar[bool] = False
    """True if the pooled values of many images are those of one `Counts` that holds their sums."""
    lower_is_better: ClassVar[tuple[str, ...]] = ()
    """Values that are better when they are smaller."""

    @abstractmethod
    def count(self, truth: Truth, predicted: Instances) -> Counts:
        """What one image contributes: numbers and lists of numbers, nothing else, so that they can be stored."""

    @abstractmethod
    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        """Values over the images in `counts`; also called with one image and with bootstrap samples.

        A key that ends in ` pooled` pools objects over images; the same key without it is the mean of images.
        """

    def resampled(self, counts: Sequence[Counts], weights: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The pooled values in bootstrap samples: `weights` `(samples, images)` says how often an image is in each."""
        import numpy as np

        if self.additive:
            sums = {name: weights @ np.array([c[name] for c in counts]) for name in counts[0]}
            found = [self.summarise([{name: s[k].tolist() for name, s in sums.items()}]) for k in range(len(weights))]
        else:
            images = np.arange(len(counts))
            found = [self.summarise([counts[k] for k in np.repeat(images, row).tolist()]) for row in weights]
        return {key: np.array([values[key] for values in found]) for key in found[0] if key.endswith(" pooled")}
