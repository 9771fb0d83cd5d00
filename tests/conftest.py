"""For every test run: it can be interrupted, however it was started."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A shell that starts a command in the background has SIGINT ignored.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
