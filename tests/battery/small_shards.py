"""Imported where an image of a test is to have several shards: they are as small to it as they else are to a volume."""

from toolkit.io import pyramid, tifflabels

pyramid.SHARD, pyramid.CHUNK, pyramid.SMALLEST = {2: (64, 64)}, {2: (32, 64)}, 64
tifflabels.STRIP, tifflabels.SLAB = 900, 4500
