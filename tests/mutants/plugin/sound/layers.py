"""The network in torch."""

from torch import nn


class Layers(nn.Module):
    def __init__(self, channels, heads, ndim, maps):
        super().__init__()
        convolution = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.trunk = nn.Sequential(
            convolution(channels, maps, 3, padding=1), nn.ReLU(), convolution(maps, maps, 3, padding=1), nn.ReLU()
        )
        self.last = nn.ModuleDict({head.name: convolution(maps, head.channels, 1) for head in heads})
        for head in heads:
            if head.initial is not None:
                nn.init.zeros_(self.last[head.name].weight)
                nn.init.constant_(self.last[head.name].bias, head.initial)

    def forward(self, image):
        features = self.trunk(image)
        return {name: layer(features) for name, layer in self.last.items()}
