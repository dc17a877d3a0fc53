"""Settings of all tests."""

from hypothesis import settings

# Other work on the machine may stop a test for seconds: a time limit per example would only be noise.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
