"""Many images, blocks and a folder of results: what `seg run` does. No method is known here."""
