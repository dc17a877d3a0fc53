"""What EmbedSeg learns: offsets to the centre of an object, a bandwidth, and seediness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from toolkit.api import Because, Deduced, Head, Loss, Survey, Truth
from toolkit_embedseg.centres import Rule, centre
from toolkit_embedseg.geometry import anisotropy, fits, shared, start

if TYPE_CHECKING:
    import torch


class EmbedSegLoss(Loss):
    """Lovász loss of each object's soft mask, smoothness of its bandwidth, and seediness (EmbedSeg paper, App. A).

    A pixel x embeds at e = x + tanh(offset); pixel coordinates are in units of `grid` − 1 voxels. Membership of
    object k with centre c is φ = exp(−Σ_d s_d (e_d − c_d)²), s = exp(10·bandwidth) = 1/(2σ²) (Eq 1; the activations are
    the reference's).
    """

    kind: Literal["embedseg"] = "embedseg"
    title: ClassVar[str] = "EmbedSeg: pixels point at the centre of their object"
    citation: ClassVar[str] = "Lalit, Tomancak and Jug, Embedding-based Instance Segmentation in Microscopy, MIDL 2021"
    centre: Rule = "medoid"
    """Where pixels point: `medoid` (paper §2), `centroid` (Neven et al. 2019), `approximate_medoid` (reference)."""
    grid: Annotated[int, Field(ge=2)] = 1024
    """One unit of the embedding is grid − 1 voxels; an object must be smaller than that (reference: 1024)."""
    anisotropy: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Voxel size relative to that of the last axis, `(Z)YX`; empty means isotropic."""
    lovasz: Literal["softmax", "hinge"] = "softmax"
    """Lovász-Softmax of φ (paper App. A) or Lovász hinge of 2φ − 1 (reference)."""
    var_axes: Literal["sum", "mean"] = "sum"
    """Smoothness summed over axes (paper Eq 5) or averaged (reference)."""
    bandwidth_mean: Literal["arithmetic", "geometric"] = "arithmetic"
    """Mean of σ (paper Eq 3) or of the raw output, which is a geometric mean of σ (reference)."""
    foreground_weight: Annotated[float, Field(gt=0)] = 10.0
    """Weight of the seediness of object pixels; 10 in 2-D, background/foreground ratio in 3-D (paper App. A)."""
    instance_weight: Annotated[float, Field(ge=0)] = 1.0
    var_weight: Annotated[float, Field(ge=0)] = 10.0
    seed_weight: Annotated[float, Field(ge=0)] = 1.0
    bandwidth_start: float = 1.0
    """Raw bandwidth of an untrained network (reference: 1)."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (
            Head("offsets", ndim, activation="tanh", transform="vector", initial=0.0),
            Head("bandwidth", ndim, transform="extent", initial=self.bandwidth_start),
            Head("seediness", 1, activation="sigmoid"),
        )

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`labels` `(L, *S)` int32, `known` `(2, *S)` bool (not void; not void and not unannotated), `centres`
        `(N, 1 + D)` int32: id and centre pixel of the visible part of each object."""
        fits(self.anisotropy, truth.voxel_size)
        rows = []
        visible = truth.known if truth.void is None else ~truth.void
        for layer in truth.layers:
            inside = np.nonzero((layer > 0) & visible)
            ids = layer[inside]
            order = np.argsort(ids, kind="stable")
            points = np.stack(inside, axis=1)[order]
            names, first = np.unique(ids[order], return_index=True)
            for name, part in zip(names, np.split(points, first[1:]), strict=False):
                rows.append((int(name), *centre(part, self.centre, truth.voxel_size)))
        seen = np.ones(truth.shape, bool) if truth.void is None else ~truth.void
        return {
            "labels": truth.layers,
            "known": np.stack([seen, truth.known]),
            "centres": np.array(rows, np.int32).reshape(len(rows), 1 + truth.ndim),
        }

    def deduced(self, survey: Survey) -> Deduced:
        if not survey.objects:
            return {"anisotropy": anisotropy(survey)}
        share = max(survey.share, 1e-3)
        weight = 10.0 if survey.ndim == 2 else round(float(np.clip(1 / share - 1, 1, 200)), 1)
        why = (
            "as in the paper for 2-D" if survey.ndim == 2 else f"objects cover {100 * survey.share:.1f} % of the voxels"
        )
        return {**shared(survey), "foreground_weight": Because(weight, why), "bandwidth_start": start(survey)}

    def means(self, other: Loss) -> bool:
        return isinstance(other, EmbedSegLoss) and other.grid == self.grid

    def build(self) -> torch.nn.Module:
        from toolkit_embedseg.lovasz import EmbeddingLoss

        weights = self.instance_weight, self.var_weight, self.seed_weight
        return EmbeddingLoss(
            self.grid, self.anisotropy, self.lovasz, self.var_axes, self.bandwidth_mean, self.foreground_weight, weights
        )
