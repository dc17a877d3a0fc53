"""Which channels of an image a network sees, and why: what a recipe says, what a training learnt, or a rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from toolkit.errors import InputError, nearest
from toolkit.steps.channels import full, look
from toolkit.values.image import Image

Mixture = Literal["all", "grey", "haematoxylin"]
NUCLEAR = ("dapi", "hoechst", "nuclei", "nucleus", "nuclear", "draq", "sytox", "topro", "histone", "propidium",
           "nucblue", "nucgreen", "nucred", "nucspot")  # fmt: skip
"""How names of channels begin that show nuclei, in lower case."""
SHORT = ("dna", "h2b", "h3", "nuc")
"""Such names that are whole words."""
NOT = ("no", "not", "non", "without")
"""Words after which a name says that the channel does not show it."""
FAINT = 1 / 15
"""Colours of 8 bits whose contrast is less than this share of the strongest one's show nothing, as red in a JPEG of
something blue."""
LIGHT, DARK, COLOURED = 0.5, 0.25, 0.03
"""In stained tissue, the medians of the brightest and of the darkest colour of a pixel lie above the first two, and a
quarter of the pixels have colours that differ by more than the third; as shares of the range."""


class Learnt(BaseModel):
    """What a training took `auto` for: these channels of so many, and their names if the files had them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, ...] | Mixture
    of: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Channels by number, from 0, or a mixture of them; `said` for the user, with a note where it is a guess."""

    channels: tuple[int, ...] | Mixture
    said: str
    note: str = ""


def choose(
    image: Image,
    wanted: tuple[int | str, ...] | Mixture | Literal["auto"],
    learnt: Learnt | None = None,
    knows: Sequence[str] = (),
) -> Choice:
    """What is seen of an image. `wanted` goes before what was `learnt`, and that before the rule; `auto` asks for them.

    The rule: the channel whose name says nuclei; equal colours are grey; the only channel that is not flat; stained
    tissue as haematoxylin, if the network `knows` it; else the first, with a note. Deterministic: the same image gives
    the same choice. Raises `InputError` if the image lacks a channel that is wanted.
    """
    if wanted == "auto":
        return _learnt(image, learnt) or _rule(image, knows)
    if not isinstance(wanted, tuple):
        alone = wanted == "haematoxylin" and (image.channels == 1 or (image.channels == 3 and _equal(look(image))))
        return Choice((0,), "grey, which stands for itself") if alone else Choice(wanted, wanted)
    numbers = tuple(_number(image, channel) for channel in wanted)
    return Choice(numbers, _said(image, numbers), _flat(image, numbers))


def _number(image: Image, channel: int | str) -> int:
    if isinstance(channel, int):
        return channel
    names = [name.casefold() for name in image.channel_names]
    if channel.casefold() in names:
        return names.index(channel.casefold())
    has = nearest(channel, image.channel_names) if names else "the file names none; give its number, counted from 0"
    raise InputError(f"there is no channel called {channel!r}", image.name, has)


def _learnt(image: Image, learnt: Learnt | None) -> Choice | None:
    """What was learnt, if this image has channels of these names, else as many channels as those that were learnt."""
    if learnt is None:
        return None
    if isinstance(learnt.channels, str):
        fits = learnt.channels != "all" and image.channels in (1, 3)
        return Choice(learnt.channels, f"{learnt.channels}, as the model learnt") if fits else None
    names = [name.casefold() for name in image.channel_names]
    if learnt.names and all(name.casefold() in names for name in learnt.names):
        numbers = tuple(names.index(name.casefold()) for name in learnt.names)
        return Choice(numbers, f"{_said(image, numbers)}, named as the model learnt")
    if image.channels == learnt.of:
        more = "" if image.channels == 1 else ", as the model learnt"
        return Choice(learnt.channels, _said(image, learnt.channels) + more, _flat(image, learnt.channels))
    if len(learnt.channels) == 1:
        return None
    raise InputError(
        f"the model takes channels {list(learnt.channels)} of {learnt.of} and this image has {image.channels}",
        image.name,
        "name as many with --channel",
    )


def _rule(image: Image, knows: Sequence[str]) -> Choice:
    if image.channels == 1:
        return Choice((0,), _said(image, (0,)))
    named = [c for c, name in enumerate(image.channel_names) if _nuclear(name)]
    if named:
        more = f"channels {', '.join(map(str, named))} are named after nuclei" if len(named) > 1 else ""
        return Choice((named[0],), _said(image, (named[0],)) + ", by its name", more)
    sample = look(image)
    shown = _shown(sample)
    if image.channels == 3 and _equal(sample):
        return Choice((0,), "grey, for its three colours are equal")
    if len(shown) == 1:
        return Choice((shown[0],), _said(image, shown) + ", the only one that is not flat")
    if image.channels == 3 and stained(sample):
        if "haematoxylin" in knows:
            return Choice("haematoxylin", "haematoxylin, for this is stained tissue")
        return Choice((0,), _said(image, (0,)), "this looks like stained tissue, which the model does not know; "
                      "say --channel haematoxylin to try it")  # fmt: skip
    first = shown[0] if shown else 0
    several = len(shown) or image.channels
    note = f"{several} channels show something and nothing says which is meant; say --channel for another"
    return Choice((first,), _said(image, (first,)), note)


def _shown(sample: NDArray[Any]) -> tuple[int, ...]:
    """Channels that are not flat."""
    contrast = [_contrast(channel) for channel in sample]
    faint = max(contrast) * FAINT if sample.dtype == np.uint8 and len(sample) == 3 else 0.0
    return tuple(c for c, value in enumerate(contrast) if value > faint)


def _contrast(channel: NDArray[Any]) -> float:
    values = channel[np.isfinite(channel)] if channel.dtype.kind == "f" else channel
    if values.size == 0 or values.min() == values.max():
        return 0.0
    low, high = np.percentile(values, (1, 99.8))
    return max(float(high) - float(low), np.finfo(float).tiny)


def _equal(sample: NDArray[Any]) -> bool:
    return all(np.array_equal(sample[0], other, equal_nan=sample.dtype.kind == "f") for other in sample[1:])


def stained(sample: NDArray[Any]) -> bool:
    """Whether light comes through `(3, N)` voxels in colours: a composite of fluorescence is dark in the main."""
    darkest, brightest = sample.min(0), sample.max(0)
    most = full(sample)
    light, dark = (float(np.median(values)) / most for values in (brightest, darkest))
    colour = float(np.percentile(brightest.astype(np.float64) - darkest, 75)) / most
    return light >= LIGHT and dark >= DARK and colour >= COLOURED


def _flat(image: Image, numbers: Sequence[int]) -> str:
    """A warning where all that is seen is flat and something else is not."""
    if image.channels == 1 or not all(0 <= c < image.channels for c in numbers):
        return ""
    shown = _shown(look(image))
    if not shown or {*shown} & {*numbers}:
        return ""
    return f"this channel is flat, but {_said(image, shown[:1])} is not: say --channel {shown[0]}"


def _said(image: Image, numbers: Sequence[int]) -> str:
    """Channels in words: number, name and of how many."""
    words = []
    for c in numbers:
        name = image.channel_names[c] if 0 <= c < len(image.channel_names) else ""
        words.append(f"{c} ({name})" if name else f"{c}")
    return f"channel{'s'[: len(words) != 1]} {', '.join(words)} of {image.channels}"


def _nuclear(name: str) -> bool:
    words = re.split(r"[^a-z0-9]+", name.lower().replace("to-pro", "topro").replace("w/o", "without"))
    told = [word for before, word in zip(["", *words], words, strict=False) if before not in NOT]
    return any(word in SHORT or word.startswith(NUCLEAR) for word in told)
