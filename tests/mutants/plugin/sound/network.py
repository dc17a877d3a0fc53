"""Three convolutions."""

from typing import Literal

from toolkit.api import Network


class SoundNetwork(Network):
    """Three convolutions."""

    kind: Literal["sound"] = "sound"
    maps: int = 8

    def build(self, channels, heads, ndim):
        from sound.layers import Layers

        return Layers(channels, heads, ndim, self.maps)

    def stride(self, ndim):
        return (1,) * ndim

    def shares(self):
        return self, ("trunk.",)
