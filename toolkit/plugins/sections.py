"""The sections of a recipe that belong to the core: what the network sees, in which windows, and how it is trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolkit.steps.channels import select
from toolkit.steps.choice import Learnt, choose
from toolkit.steps.sizes import Sizes
from toolkit.values.image import Image

Validate = Literal["S", "detection"]
VALUES: dict[Validate, str] = {"S": "S@0.50", "detection": "AP_det"}
"""The value of a metric that each `training.validate` means."""


class Section(BaseModel):
    """A part of a recipe that belongs to the core."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Input(Section):
    """What the network sees of an image."""

    channels: tuple[Annotated[int, Field(ge=0)] | str, ...] | Literal["auto", "all", "grey", "haematoxylin"] = "auto"
    """Channels by number or name, all of them, the luminance of RGB, or the haematoxylin stain of RGB, bright on dark;
    `auto`: what a training learnt, else by the rule of docs/images.md."""
    learnt: Learnt | None = None
    """What a training took `auto` for; it says so itself."""
    knows: tuple[Literal["haematoxylin"], ...] = ()
    """What `auto` may take beside a channel."""
    spacing_um: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Voxel size in micrometres that the method was trained at, `(Z)YX`; null if unknown."""
    shrink: tuple[Annotated[int, Field(ge=1, le=16)], ...] | None = None
    """The network sees the means of so many voxels per axis, `(Z)YX`, and its objects are enlarged again; null: 1."""
    diameter_px: Sizes | None = None
    """Diameters of the objects that the network learnt, in voxels of what it sees; a training says so itself."""

    @property
    def count(self) -> int | None:
        """How many channels the network sees; None if that depends on the image."""
        chosen = self.learnt.channels if self.channels == "auto" and self.learnt else self.channels
        return None if chosen == "all" else 1 if isinstance(chosen, str) else len(chosen)

    def seen(self, image: Image) -> Image:
        """What the network sees of an image, which says so. Raises `InputError` if the image does not have it."""
        choice = choose(image.series or image, self.channels, self.learnt, self.knows)
        notes = (*image.notes, choice.note) if choice.note else image.notes
        return replace(select(image, choice.channels), notes=notes, seen=choice.said)


class Tiling(Section):
    """The lattice of windows on which the network always runs."""

    window: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    """Shape of a window in voxels, `(Z)YX`, a multiple of the network's stride."""
    overlap: tuple[Annotated[int, Field(ge=0)], ...] | Annotated[int, Field(ge=0)] = 64
    """Voxels that neighbouring windows share; one number for all axes or one per axis."""

    augment: Literal["none", "turns", "turns_after"] = "none"
    """Test-time augmentation: `turns` averages the raw outputs over 8 (2-D) or 16 (3-D) rotations and flips of each
    window, in so many times the time (Lalit et al. 2021, §2); `turns_after` averages what their activations make of
    them, so that one turn that is wrongly sure cannot outvote the others."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers in which the network computes where a processor has instructions for them; `bfloat16` stands where it
    was measured on `val` that no S@t falls by more than .003, elsewhere float32 runs."""

    @model_validator(mode="after")
    def _fits(self) -> Tiling:
        if len(self.overlaps) != len(self.window):
            raise ValueError(f"overlap needs {len(self.window)} numbers, one per axis of window")
        if any(o >= w for o, w in zip(self.overlaps, self.window, strict=True)):
            raise ValueError("overlap must be smaller than window on every axis")
        return self

    @property
    def overlaps(self) -> tuple[int, ...]:
        """The overlap per axis."""
        return self.overlap if isinstance(self.overlap, tuple) else (self.overlap,) * len(self.window)


class Learning(Section):
    """How the network is trained."""

    crop: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    """Shape of a crop in voxels, `(Z)YX`."""
    batch: Annotated[int, Field(ge=1)] = 4
    """Crops that are in memory at once."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches per step: the mean of their gradients moves the weights, as that of one batch so many times as large."""
    optimiser: Literal["adam", "adamw", "amsgrad", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["poly", "constant", "cosine"] = "poly"
    """`poly`: (1 − step/steps)^0.9, as Lalit et al. 2021 have it."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises linearly from 0; a tenth of all steps at most."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """How much each loss counts: `loss`, then `auxiliary`; empty: 1 each."""
    steps: Annotated[int, Field(ge=1)] = 20000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights that validation and the result use; 0 for none."""
    augment: tuple[str, ...] = ("flip", "rotate", "intensity")
    """Augmentations in order; see `toolkit.training.augment`."""
    scales: tuple[Annotated[float, Field(ge=0.125)], Annotated[float, Field(le=8)]] | None = None
    """From how small to how large objects appear in crops, as factors, such as [0.5, 2]; null: 1.4 both ways with the
    augmentation `scale`, else as they are."""
    crowd: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of crops that are centred where objects overlap or nearly touch."""
    validate_: Annotated[Validate, Field(alias="validate")] = "S"
    """What the best weights are best in, on the split `val`: `S` at IoU .5, or `detection` of centres."""
    settle: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the steps, the last ones, in which batch normalisation uses its running statistics, as it will when the
    model runs: batches of mixed crops have others than a window of one dark image. Never in the first 300 steps."""
    validations: Annotated[int, Field(ge=1, le=1000)] = 20
    """How often the weights are scored on `val` during the training; fewer where objects take long to assemble."""

    @model_validator(mode="after")
    def _ordered(self) -> Learning:
        if self.scales is not None and self.scales[0] > self.scales[1]:
            raise ValueError("scales are the smallest and the largest factor, in this order")
        return self


def asked(channels: Sequence[int | str]) -> tuple[str, ...]:
    """`--channel` as a change of a recipe: names and numbers, or one way of mixing all; none if none is named."""
    if len(channels) == 1 and str(channels[0]).lower() in ("auto", "all", "grey", "haematoxylin"):
        return (f"input.channels={str(channels[0]).lower()}",)
    numbered = [int(c) if isinstance(c, int) or c.isdecimal() else c for c in channels]
    return (f"input.channels={json.dumps(numbered)}",) if numbered else ()
