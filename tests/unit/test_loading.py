"""The library is loaded, and its process ends, without a search for garbage that is not there."""

from __future__ import annotations

import gc
import subprocess
import sys

from ado_infra.loading import collector_paused

LOADS = """
import atexit, gc
searches = []
atexit.register(lambda: print(len(searches), gc.get_freeze_count() > 10_000))  # the last one asked
gc.callbacks.append(lambda phase, info: searches.append(info))
searches.clear()
from ado_infra import AdoPlatform
"""


def test_nothing_is_looked_for_while_the_library_is_loaded_nor_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True)
    searches, frozen = done.stdout.split()
    assert int(searches) < 10, "what is imported before the library's own modules are"
    assert frozen == "True"


def test_the_collector_goes_on_afterwards_as_before() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
