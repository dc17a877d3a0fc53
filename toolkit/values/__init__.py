"""Values that flow along the line: frozen, without any knowledge of files, devices or plugins."""
