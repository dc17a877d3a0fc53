"""The losses that come with the core."""
