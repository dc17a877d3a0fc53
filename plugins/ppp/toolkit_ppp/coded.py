# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_coded`: codes of patches, and the autoencoder that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn import functional

from toolkit.api import Head, Trunk, UsageError, begin_heads, unet_level
from toolkit_ppp.lazy import BUDGET, Lazy, Rows, asked, dense, gathered, mixed
from toolkit_ppp.unet import everywhere, linear, together

FEW = 128
"""Patches that are decoded at once where some are asked for."""


class Coder(nn.Module):
    """Features `(N, F)` → codes `(N, K)` → raw patches `(N, C)`, and true patches `(N, C)` → codes.

    `code`: K. The patch is halved `levels` times, with `number` convolutions on each level and `maps` at full
    resolution; `autoencoder` gives it an encoder. Without normalisation: a patch is decoded alike beside any others,
    and an autoencoder that does not learn is frozen.
    """

    def __init__(
        self, features: int, head: Head, *, code: int, levels: int, maps: int, number: int, autoencoder: bool
    ) -> None:
        super().__init__()
        assert head.patch is not None, "a head of patches has a shape"
        self.patch, ndim = head.patch, len(head.patch)
        self.places = tuple(-(-n // 2**levels) for n in self.patch)
        self.depth = _depth(code, self.places, self.patch)
        self.room = tuple(n * 2**levels for n in self.places)
        sizes = [maps * 2**at for at in range(levels + 1)]
        convolution = nn.Conv2d if ndim == 2 else nn.Conv3d
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        how = (ndim, number, False, True)
        self.code = nn.Linear(features, code)
        down: list[nn.Module] = [unet_level(1, sizes[0], *how)]
        up: list[nn.Module] = [unet_level(self.depth, sizes[-1], *how)]
        for fine, coarse in pairwise(sizes):
            down += [pooling(2), unet_level(fine, coarse, *how)]
        for coarse, fine in pairwise(sizes[::-1]):
            up += [nn.Upsample(scale_factor=2), unet_level(coarse, fine, *how)]
        last = convolution(maps, 1, 1)
        begin_heads([replace(head, channels=1)], last)
        self.decoder = nn.Sequential(*up, last)
        self.encoder = nn.Sequential(*down, convolution(sizes[-1], self.depth, 1)) if autoencoder else None
        # Maps of the finest level before and after a layer, and what the allocator keeps.
        self.chunk = max(1, BUDGET // (16 * maps * prod(self.room)))

    def decode(self, codes: Tensor) -> Tensor:
        """`(N, K) -> (N, C)`."""
        found: Tensor = self.decoder(codes.reshape(len(codes), self.depth, *self.places))
        for axis, (start, size) in enumerate(zip(self._margins(), self.patch, strict=True), start=2):
            found = found.narrow(axis, start, size)
        return found.flatten(1)

    def encode(self, patches: Tensor) -> Tensor:
        """`(N, C) -> (N, K)`."""
        if self.encoder is None:
            raise UsageError("the network has no encoder", "network.autoencoder=false", "set it to true")
        before = self._margins()
        after = [r - n - b for r, n, b in zip(self.room, self.patch, before, strict=True)]
        pads = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
        found: Tensor = self.encoder(functional.pad(patches.reshape(len(patches), 1, *self.patch), pads))
        return found.flatten(1)

    def forward(self, features: Tensor) -> Tensor:
        return self.decode(self.code(features))

    def _margins(self) -> list[int]:
        """Pixels before the patch in the decoder's output, per axis."""
        return [(r - n) // 2 for r, n in zip(self.room, self.patch, strict=True)]


@dataclass(frozen=True)
class Coded(Lazy):
    """A head of patches of which a loss may see the codes, too."""

    @property
    def coder(self) -> Coder:
        """The autoencoder."""
        assert isinstance(self.decode, Coder)
        return self.decode

    def codes(self, pixels: Tensor) -> Tensor:
        """Codes `(N, K)` float32 at `pixels` `(N,)`, raster indices in `(B, *S)`."""
        with self.precision():
            return self.coder.code(gathered(self.maps, pixels)).float()  # type: ignore[no-any-return]

    def encoded(self, patches: Tensor) -> Tensor:
        """Codes `(N, K)` float32 of true patches `(N, C)`."""
        with self.precision():
            return self.coder.encode(patches).float()

    def rebuilt(self, patches: Tensor) -> Tensor:
        """What the autoencoder makes of true patches: raw patches `(N, C)` float32."""
        with self.precision():
            return self.coder.decode(self.coder.encode(patches)).float()


class CodedModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Coded` in training.

    `coder(features, head)` makes what unfolds the codes of a head. Elsewhere than in training, patches are decoded
    where the probability of foreground exceeds `above`.
    """

    def __init__(
        self, features: Trunk, heads: tuple[Head, ...], above: float, coder: Callable[[int, Head], Coder]
    ) -> None:
        super().__init__()
        self.above, self.features = above, features
        self.order = [head.name for head in heads]
        self.heads = linear(features.outputs, [head for head in heads if head.transform != "patch"])
        self.coders = nn.ModuleDict(
            {head.name: coder(features.outputs, head) for head in heads if head.transform == "patch"}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        maps = self.features(image)
        if not self.training:
            maps = together(maps)
        plain = {name: everywhere(layer, maps) for name, layer in self.heads.items()}
        found: dict[str, Tensor | Lazy] = {**plain}
        for name, coder in self.coders.items():
            assert isinstance(coder, Coder)
            lazy = Coded(maps, coder, coder.chunk, mixed(maps))
            found[name] = lazy if self.training else dense(lazy, asked(plain, image, self.above), prod(coder.patch))
        return {name: found[name] for name in self.order}

    def lazily(self, image: Tensor) -> dict[str, Tensor | Rows]:
        """As `forward`, with patches decoded where somebody asks."""
        maps = together(self.features(image))
        found: dict[str, Tensor | Rows] = {name: everywhere(layer, maps) for name, layer in self.heads.items()}
        for name, coder in self.coders.items():
            assert isinstance(coder, Coder)
            found[name] = Rows(Coded(maps, coder, coder.chunk), min(coder.chunk, FEW))
        return {name: found[name] for name in self.order}


def _depth(code: int, places: tuple[int, ...], patch: tuple[int, ...]) -> int:
    """Numbers of a code at each of its places."""
    number = prod(places)
    if code % number:
        whole, small = "×".join(map(str, patch)), "×".join(map(str, places))
        raise ValueError(
            f"the code of a patch of {whole} is a multiple of its {small} places: code={code}; "
            f"choose {max(1, round(code / number)) * number}, or another coder_levels"
        )
    return code // number
