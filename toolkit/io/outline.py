"""Outlines of objects as smooth coloured lines."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances

LINE = 2.0
"""Width of an outline in pixels of the picture."""
LAYERS = 8
"""Objects that overlap more deeply than this, as in a projection of a dense volume, hide each other."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of red, green and blue in ITU-R BT.709."""
BRIGHT, DARK = 0.5, 0.4
"""Luminance that colours have at least on a dark and at most on a light background."""
PIXELS = 2**22
"""Larger pictures are not drawn on a grid twice as fine and averaged."""


def outlines(
    instances: Instances, zoom: int, light: bool, smooth: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour `(H, W, 3)` and opacity `(H, W)` of the outlines of 2-D objects, `zoom` times as fine.

    `zoom` is a power of 2. `light` tells that the background is bright: colours are darker then. `smooth`: drawn on a
    grid twice as fine if the picture is not too large for that.
    """
    layers = instances.layers() if instances.layer_of.max(initial=0) < LAYERS else instances.to_labels()[None]
    height, width = (n * zoom for n in instances.shape)
    fine = 2 if smooth and height * width <= PIXELS else 1
    colours = palette(len(instances), light)
    colour, alpha = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    for labels in layers:
        labels = smoothed(labels, zoom * fine)
        line = _line(labels, LINE * fine)
        # Lines are few pixels of a picture: only those are worked on.
        y, x = np.nonzero(line)
        share, paint = line[y, x] / fine**2, colours[labels[y, x]]
        at, inverse = np.unique((y // fine) * width + x // fine, return_inverse=True)
        weight = np.bincount(inverse, share, len(at)).astype(np.float32)
        here = np.stack([np.bincount(inverse, share * paint[:, c], len(at)) for c in range(3)], axis=1)
        rgb, cover = colour.reshape(-1, 3), alpha.reshape(-1)
        rgb[at] = rgb[at] * (1 - weight)[:, None] + here
        cover[at] += weight * (1 - cover[at])
    colour /= np.maximum(alpha, np.float32(1e-6))[..., None]
    return colour, alpha


def palette(count: int, light: bool) -> NDArray[np.float32]:
    """RGB of the background and of `count` objects; neighbours in the order of ids differ by the golden angle.

    All colours are about equally bright: pure blue would drown on black, pure yellow on white.
    """
    table = np.array([colorsys.hsv_to_rgb(hue / 360, 0.9, 1) for hue in range(360)])
    bright = (table @ LUMINANCE)[:, None]
    if light:
        table *= np.minimum(1, DARK / bright)
    else:
        table += (1 - table) * (np.maximum(0, BRIGHT - bright) / (1 - bright))
    hues = (np.arange(count) * 0.6180339887 % 1 * 360).astype(int)
    return np.concatenate([np.zeros((1, 3)), table[hues]]).astype(np.float32)


def smoothed(labels: NDArray[np.integer], zoom: int) -> NDArray[np.integer]:
    """Labels on a grid `zoom` (a power of 2) times as fine, with the corners of diagonal borders cut."""
    while zoom > 1:
        labels, zoom = _doubled(labels), zoom // 2
    return labels


def _doubled(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Twice as fine: a corner takes the label of the two neighbours that meet there, if they are equal and the
    opposite ones are not (the rule known as EPX or Scale2x)."""
    around = np.pad(labels, 1, mode="edge")
    up, down, left, right = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    out = labels.repeat(2, 0).repeat(2, 1)
    for y, x, a, b, c, d in (
        (0, 0, up, left, down, right),
        (0, 1, up, right, down, left),
        (1, 0, down, left, up, right),
        (1, 1, down, right, up, left),
    ):
        out[y::2, x::2] = np.where((a == b) & (a != d) & (b != c), a, labels)
    return out


def _line(labels: NDArray[np.integer], width: float) -> NDArray[np.float32]:
    """How much of each pixel the outline covers: it runs along the inner side of each object's border."""
    import edt

    depth = edt.edt(np.ascontiguousarray(labels), black_border=False, parallel=1)
    return np.where(labels > 0, (width + 0.5 - depth).clip(0, 1), 0).astype(np.float32)
