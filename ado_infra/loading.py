"""How fast the library, and Pulumi's SDK with it, is loaded and left again.

Of their tens of thousands of functions and classes nothing is garbage before the process ends. To
look for some while they are loaded and whenever more is made, and to take them apart at the end,
would be two fifths of all that loading takes.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

atexit.register(gc.freeze)  # the system takes what is left, all at once


def load(name: str) -> ModuleType:
    """A module; what there is once it is loaded is not looked at again for garbage."""
    if name not in sys.modules:
        with collector_paused():
            import_module(name)
            gc.freeze()
    return sys.modules[name]


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
