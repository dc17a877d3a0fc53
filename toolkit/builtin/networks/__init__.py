"""The networks that come with the core."""
