"""`python -m sandbox`."""

from __future__ import annotations

import sys

try:
    from sandbox.cli import main

    main()
except KeyboardInterrupt:  # also during the imports
    sys.exit(130)
