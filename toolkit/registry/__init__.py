"""Models: what they are, where they are kept, how foreign ones are read."""
