"""Results as other programs read them: files beside those of a run, each on request."""
