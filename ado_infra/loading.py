"""How fast the library, and Pulumi's SDK with it, is loaded and left again.

Of their tens of thousands of functions and classes nothing is garbage before the process ends. To
look for some while they are loaded, and to take them apart at the end, would be two fifths of all
that loading takes.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Generator
from contextlib import contextmanager

atexit.register(gc.freeze)  # what is frozen is left to the system, which has it in one piece


@contextmanager
def collector_paused() -> Generator[None]:
    """No garbage collection during the block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
