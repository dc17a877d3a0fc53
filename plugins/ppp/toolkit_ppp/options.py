"""The options of PatchPerPix: what every step between patches and instances is told."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toolkit.api import Search

MAX_EXTENT = 63
"""Patches are at most this long along an axis: a row of one is a machine word."""
MAX_VOXELS = 33_025
"""Patches have at most this many voxels: the sum of C products of two bytes fits 32 bits."""

Extent = Annotated[int, Field(ge=1, le=MAX_EXTENT)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Options(BaseModel):
    """How patches become instances; defaults are the paper's, other ways have names.

    Equation numbers are those of the PatchPerPix paper (Mais, Hirsch, Kainmueller).
    """

    model_config = ConfigDict(frozen=True)

    patch: tuple[Extent, ...] = (25, 25)
    """Shape of a patch in voxels, `(Z)YX`; every extent is odd (paper, 2)."""
    threshold: Annotated[float, Field(gt=0, lt=1), Search(0.5, 0.95, drifts=True)] = 0.5
    """t: a voxel of a patch is foreground if p > t (Eq 1)."""
    background: Literal["complement", "below_threshold", "half"] = "complement"
    """A voxel of a patch is background if p < 1 − t (Eq 2), p < t (published worms) or p < t/2 (reference)."""
    foreground: Annotated[float, Field(gt=0, lt=1), Search(0.1, 0.9, drifts=True)] = 0.5
    """The image foreground is where the heads `foreground` or `numinst` say so with more than this probability (ours);
    without these heads it is where the centre of the patch exceeds t (paper, 2.2)."""
    overlap_threshold: Annotated[float, Field(gt=0, lt=1), Search(0.05, 0.9)] = 0.5
    """Pixels where `numinst` says ≥ 2 with more than this probability have no patch of their own (paper, 2.3)."""
    sparse: bool = True
    """Restrict patches to the image foreground (paper, 2.1, last paragraph)."""
    vote: Annotated[Literal["product", "normalised"], Search(choices=("product", "normalised"))] = "product"
    """A patch votes with p·p (Eq 3) or with (p·p − t²)/(1 − t²) (reference)."""
    count: Annotated[Literal["informative", "decided"], Search(choices=("informative", "decided"))] = "informative"
    """Z_aff counts patches that cover both pixels and call one of them foreground (Eq 4), or only those that call the
    other one foreground or background (reference)."""
    border: Literal["clip", "drop"] = "clip"
    """Clip patches at the image border (paper) or drop those that do not fit (reference)."""
    cover_steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    """One round over the ranked patches for each number: a patch is taken if it covers more new pixels than that. One
    round (paper); 500, 100, 50, 10, 0 (reference)."""
    cover_threshold: Annotated[Probability | None, Search(0.05, 0.95)] = None
    """A patch covers the pixels with p above this; null is t (paper); published worms: t = .9, cover .5 (reference)."""
    select: bool = True
    """Select patches by cover; without, every foreground patch is a node (ablation of paper Table 2)."""
    thin: bool = True
    """Thin the selection out (paper); off in the published worm configuration (reference)."""
    paff_count: Annotated[Literal["observed", "in_range"], Search(choices=("observed", "in_range"))] = "observed"
    """Z_paff counts pairs with a consensus (Eq 6), or every pair in the range of the consensus array (reference)."""
    self_pairs: bool = False
    """Let v = w take part in Eq 6, with aff(v, v) = mean of p(v)² (Eq 6 to the letter); off in the reference."""
    partition: Literal["mutex", "components"] = "mutex"
    """Mutex watershed, or connected components of the positive edges (paper, 2.1)."""
    overlap: Literal["keep", "highest_probability"] = "keep"
    """Let instances share pixels, or give a pixel to the patch with the highest probability there (paper, 2.1)."""
    min_size: Annotated[int, Field(ge=0), Search(0, 200, step=5)] = 0
    """Instances with fewer voxels are dropped (paper, 3.3)."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        shape = "×".join(map(str, self.patch))
        if len(self.patch) not in (2, 3):
            raise ValueError(f"patch {shape} must have two axes, YX, or three, ZYX")
        if any(n % 2 == 0 for n in self.patch):
            raise ValueError(f"patch {shape} must be odd along every axis, so that it has a centre")
        if prod(self.patch) > MAX_VOXELS:
            raise ValueError(f"patch {shape} has {prod(self.patch)} voxels; at most {MAX_VOXELS} add up exactly")
        if self.background == "complement" and self.threshold < 0.5:
            raise ValueError(
                f"threshold {self.threshold} is below 0.5, where a pixel is foreground and background at once; "
                "raise it or set background=below_threshold"
            )
        t2 = self.threshold**2
        if self.vote == "normalised" and prod(self.patch) * 16384 * max(1.0, t2 / (1 - t2)) >= 2**31:
            raise ValueError(f"threshold {self.threshold} is too high for vote=normalised with a patch of {shape}")
        return self

    @property
    def t2(self) -> float:
        """t² for normalised votes, −1 for plain ones: how the kernels are told."""
        return self.threshold * self.threshold if self.vote == "normalised" else -1.0

    @property
    def radius(self) -> tuple[int, ...]:
        """Voxels from the centre of a patch to its border, per axis."""
        return tuple(n // 2 for n in self.patch)

    @property
    def voxels(self) -> int:
        """C, the number of voxels of a patch and of channels of the head `patches`."""
        return prod(self.patch)
