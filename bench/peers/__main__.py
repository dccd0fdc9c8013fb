"""``python -m peers`` runs the suite."""

import sys

from .suite import main

sys.exit(main())
