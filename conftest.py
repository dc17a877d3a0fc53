"""For all tests of the repository."""

import os

from hypothesis import settings

# At home every run looks at new examples; where a change is judged, the same change gets the same answer.
settings.register_profile("judged", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("home", deadline=None, print_blob=True)
settings.load_profile("judged" if os.environ.get("CI") else "home")
