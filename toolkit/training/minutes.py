"""What minutes buy: steps, and images for the validations between them."""

from __future__ import annotations

LEAST = 50
"""Validations are so many steps apart."""
SHARE = 0.1
"""Of the time, what validations may take, unless they would look at fewer than `FEWEST` images each."""
FEWEST = 6
PROBED = 2
"""Images by which it is measured what one costs."""
BATCH = "training.batch"
"""What is made smaller where minutes are few, unless somebody has said it."""
FEW = 150
"""So few steps teach little, whatever they see: with fewer crops at once there are twice as many and more."""


class Few(Exception):
    """The minutes are worth `steps` steps, and too few; with `batch` crops at once they are more."""

    def __init__(self, steps: int, batch: int) -> None:
        super().__init__(f"the minutes are worth {steps} steps")
        self.batch = batch


def fewer(steps: int, batch: int, share: float = 1.0) -> int:
    """Crops at once in a part `share` of a training, which would have so many steps with `batch`."""
    few = FEW * share
    return batch if steps >= few else max(1, int(batch * steps // (2 * few)))


def apart(steps: int, times: int) -> int:
    """Steps between validations of a phase of `steps` steps that has up to `times`, the last one at its end."""
    return max(LEAST, -(-steps // max(1, times)))


def affordable(seconds: float, pace: float, image: float, times: int, most: int) -> tuple[int, int]:
    """How many steps of `pace` seconds fit into `seconds` together with up to `times` validations, and at how many of
    `most` images these look if one takes `image` seconds."""
    seconds = max(0.0, seconds)
    low, high = 0, int(seconds / pace) + 1
    while high - low > 1:
        steps = (low + high) // 2
        fits = steps * pace + _cost(seconds, steps, image, times, most) <= seconds
        low, high = (steps, high) if fits else (low, steps)
    return low, _images(seconds, low, image, times, most)


def _cost(seconds: float, steps: int, image: float, times: int, most: int) -> float:
    return _count(steps, times) * _images(seconds, steps, image, times, most) * image


def _images(seconds: float, steps: int, image: float, times: int, most: int) -> int:
    """Images of each validation."""
    whole = max(1, _count(steps, times)) * most * image
    wanted = most if whole <= SHARE * seconds else int(most * SHARE * seconds / whole)
    return min(most, max(FEWEST, wanted))


def _count(steps: int, times: int) -> int:
    """Validations of so many steps."""
    return -(-steps // apart(steps, times)) if times else 0
