"""The verbs `seg models …`."""
