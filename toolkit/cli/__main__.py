"""`python -m toolkit.cli` is `seg`."""

import sys

from toolkit.cli import main

sys.exit(main())
