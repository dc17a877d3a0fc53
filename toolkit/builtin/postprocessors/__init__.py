"""The post-processors that come with the core."""
