"""Steps of the line: pure functions of values; no files, no networks, no configuration but their arguments."""
